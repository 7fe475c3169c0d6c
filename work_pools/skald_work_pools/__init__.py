"""Generator nodes: what a machine has, what a task takes, and how a run becomes a process there.

``needs``, ``devices``, ``gpu_choice`` and ``leases`` are pure: the model, and who gets what. ``nvml`` alone reads GPUs.
``messages`` are the words between nodes, bridge and flows. ``prefect_private`` names every private part of Prefect
that is leaned on. ``worker`` is the Prefect worker of type ``skald``; the inside of a node is ``node``.
"""
