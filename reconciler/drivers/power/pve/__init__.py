"""The HTTP API of Proxmox VE, and what it can do for the power of its guests and nodes.

Called by the power driver `proxmox`.
"""
