"""desired.yaml and inventory.yaml: read, checked with file and line, resolved to one value, edited, and watched.

Called by app, by verbs through `ports.Source` and its kin, and by loop through `ports.Edits`.
"""
