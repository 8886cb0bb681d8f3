"""Recipes: the steps that bring about each change, as drafts that core/ordering puts in order.

Called by core/planner.
"""
