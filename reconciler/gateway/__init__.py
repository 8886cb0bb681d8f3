"""The gateway: one address for every model, whose requests go to the engine that serves it now.

A client's connection (client) is parsed and judged (head, naming), finds its seat (seats), and
is carried to an engine's connection and back (exchange, engine, pool).

Made by app, called by verbs/serve; what it knows and may do to a host is the port `Gate`.
"""
