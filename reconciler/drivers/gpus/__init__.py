"""Gpus."""
