"""Proxmox VE: what its API (edge/proxmox_api) can do for the power of its guests and nodes.

Called by the power driver `proxmox`.
"""
