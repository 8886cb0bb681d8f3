"""GPU drivers: how much memory is free, and who holds the rest. One file is one kind.

Made by the catalog; called by loop through `ports.GpuReader`.
"""
