"""A host that is not there: every port over a world in memory, with faults, a clock that is turned, and deaths.

Used by tests, and by whoever builds on the ports.
"""
