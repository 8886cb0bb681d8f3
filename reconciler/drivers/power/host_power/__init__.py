"""One host's power, assembled from a driver for each thing that can be done with it.

Called by the catalog, which hands it out as `ports.Power`; the power drivers take its option types
and refusals.
"""
