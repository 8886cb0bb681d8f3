"""What `reconciler import` makes of containers, compose files, services and folders of weights.

Called by verbs/imports; core/onboarding writes the files.
"""
