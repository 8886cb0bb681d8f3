"""Documents: the JSON of every verb as models, and each as text for a terminal.

The documents are made by verbs; the text by cli.
"""
