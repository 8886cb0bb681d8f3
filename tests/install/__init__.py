"""A program, `make test-install`: the install with old and new tools, on every Python here."""
