"""Drivers of a host's power, put together: what brings it up, sends it down, tells how it is, and may cut it."""
