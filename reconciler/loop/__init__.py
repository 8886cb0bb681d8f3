"""The reconcile loop: look, aim, plan, execute, journal, roll back.

And the watch that does it again whenever something stirs.

Called by verbs; acts through ports only.
"""
