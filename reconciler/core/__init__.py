"""Decisions: pure functions from what is wanted, known and seen to plans, refusals and words.

Called by loop, verbs and render; calls nothing but model and steps.
"""
