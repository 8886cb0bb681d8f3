"""desired.yaml and inventory.yaml: read, checked in their lines, resolved, edited, and watched.

Called by app, by verbs through `ports.Source` and its kin, and by loop through `ports.Edits`.
"""
