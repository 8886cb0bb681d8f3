"""Engine drivers: what a model server's options mean, and how it is asked, saved and restored.

One file is one kind.

Made by the catalog; called by loop and effects through `ports.Engine`.
"""
