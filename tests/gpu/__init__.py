"""What a real NVIDIA card does: a program of its own, `make test-gpu`, that needs one."""
