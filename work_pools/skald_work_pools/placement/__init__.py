"""The fleet's hardware as one pool: which member takes a task, who waits, who gives way. Pure."""
