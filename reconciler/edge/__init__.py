"""The machine that this runs on: HTTP, ssh, files, clocks, threads, secrets, the supervisor.

Knows nothing of models and hosts.

Called by drivers, config, store, cli and app.
"""
