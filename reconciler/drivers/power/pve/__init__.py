"""What the API of Proxmox VE (edge/proxmox_api) can do for the power of its guests and nodes.

Called by the power driver `proxmox`.
"""
