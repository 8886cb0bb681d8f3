"""The composition root: build the ports from settings and specs, and nothing else."""
