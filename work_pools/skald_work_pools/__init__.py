"""Generator nodes: what a machine has, what a task takes, and how a run becomes a process there."""
