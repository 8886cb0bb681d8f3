"""The reconcile loop (look, aim, plan, execute, journal, roll back), and the watch that repeats it.

Called by verbs; acts through ports only.
"""
