"""Calls: what answers at each way in of the control API, one file for verbs that are alike.

Used by router, which collects them.
"""
