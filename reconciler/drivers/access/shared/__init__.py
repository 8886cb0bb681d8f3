"""The access driver that asks a host's program, and where such a host keeps its files.

How its answers come back is the matter of each kind of access.

Called by the kinds of access, and by the catalog, which tells a model's drivers the place.
"""
