"""Decisions: pure functions from what is wanted, remembered and observed to plans, refusals and words.

Called by loop, verbs and render; calls nothing but model and steps.
"""
