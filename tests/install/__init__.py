"""A program, `make test-install`: what a person installs works with old and new tools, on every
Python that is here.
"""
