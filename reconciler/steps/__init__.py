"""The steps of a plan, one kind a file: what each reads, needs, blocks on, predicts and waits for.

They do nothing.

Planned by core; acted out by effects; walked through by loop.
"""
