"""HTTP for Skalds' users: REST and server-sent events as their dashboard calls them, metrics, the dashboard itself.

It translates and decides nothing: lists come from the archive, heartbeats from the pulse, commands go to Prefect.
"""
