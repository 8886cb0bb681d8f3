"""Tests of reconciler; `tests.bench` is also a program."""
