"""Builds of servers that people have: a program, `make test-builds`, that puts what every engine
promises to each of them.
"""
