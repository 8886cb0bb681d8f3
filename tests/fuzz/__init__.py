"""Bytes that are almost HTTP, framed by the gateway and by h11."""
