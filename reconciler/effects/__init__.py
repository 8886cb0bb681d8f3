"""Effects: how each step kind acts, through ports only, and never decides anything."""
