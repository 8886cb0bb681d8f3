"""What people are told of a stack: explanations, findings, conditions, the keys of both files.

Called by the verbs explain, doctor and status.
"""
