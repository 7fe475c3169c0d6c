"""Facts in, effects out; pure.

No I/O, no clock, no randomness: ``now`` is an argument. ``facts`` are what Prefect says, ``causes`` what the mirror
hears, ``effects`` what is to be written; ``mirror.decide`` turns one into the other. Other files decide one thing
each: deadlines, dependencies, retention, which Skalds node a task goes to. Errors that cross rooms are in ``errors``.
"""
