"""What `reconciler init` finds on a machine as both files: names for models, units to take over, the text of the files.

Called by verbs/init.
"""
