"""One host's power, assembled from its drivers: what wakes it, shuts it down, tells how it is, and may cut it.

Called by the catalog, which hands it out as `ports.Power`; the power drivers take its option types
and refusals.
"""
