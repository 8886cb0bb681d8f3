"""Documents: the JSON of every verb as models, and each as text for a terminal.

Made by verbs; printed by cli.
"""
