"""Access drivers: how the questions and actions of onhost reach a host. One file is one kind.

Made by the catalog; called by the other drivers of a host and by loop.
"""
