"""llama.cpp's server protocol: flags, `/props`, slots, save and restore, the canary.

Shared by kinds of engines, and itself none.

Called by the engine drivers `llamacpp` and `embedded`.
"""
