"""The inside of a node: it polls a work pool, admits what fits, runs it in processes and reports to Prefect.

Five rooms, imported downwards only: ``reconcile`` (what events may have missed) -> ``runs`` (from poll to final
state) -> ``processes`` (the node's end of its child processes) and ``server`` (what is told to Prefect and heard
from it) -> ``forked`` (what runs inside those processes). ``service`` puts them together; ``context`` is what
they share.
"""
