"""The node's end of its processes: which code is loaded where, spares kept ready, output read, ends noticed.

Nothing here knows Prefect; a run is known only as the environment variable its processes carry.
"""
