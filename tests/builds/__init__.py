"""A program, `make test-builds`: what every engine promises, on each build that people have."""
