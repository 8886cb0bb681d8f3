"""Where this machine keeps things."""
