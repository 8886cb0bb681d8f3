"""Launcher drivers: how a model's unit is found, started and stopped. One file is one kind.

Made by the catalog; called by loop and effects through `ports.Launcher`.
"""
