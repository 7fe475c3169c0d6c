"""The `skald` command: parses, calls, prints."""
