"""What `reconciler init` makes of a machine: names for models, both files, servers to take over.

Called by verbs/init.
"""
