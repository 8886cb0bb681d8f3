"""Clients that people have, on a gateway over real engines."""
