"""A run on this node, from poll to final state.

The poller asks what may start, admission decides whether it fits and takes the lease, a supervisor sees the run
through, the finalizer settles its state; ``outcomes`` are the pure decisions.
"""
