"""What the controller keeps for itself: journal, lock, id, saved plans.

Made by app; called by verbs and loop through ports.
"""
