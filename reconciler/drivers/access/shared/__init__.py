"""The access driver that asks a host's program, however its answers come back, and where such a host keeps its files.

Called by the kinds of access, and by the catalog, which tells a model's drivers the place.
"""
