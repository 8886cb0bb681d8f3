"""Power drivers: what can wake a host, shut it down, tell how it is, or cut its power.

One file is one kind.

Made by the catalog; put together to one `ports.Power` by host_power.
"""
