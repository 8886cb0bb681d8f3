"""What launchers of units that exist already have in common.

Called by the kinds of launcher.
"""
