"""What a node tells Prefect's server and hears from it: requests about runs, logs, events, announcements.

Only "the server is away" is tried again; what the server refuses for what it is gets dropped alone, and said.
"""
