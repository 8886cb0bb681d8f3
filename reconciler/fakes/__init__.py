"""A host that is not there: every port over a world in memory, with faults and deaths.

Used by tests, and by people who build on the ports.
"""
