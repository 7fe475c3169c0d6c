"""The ports' implementations, one outside system a group of files.

An adapter translates: its system's answers to the domain's facts, its errors to ours (``Unavailable`` where the
service is away, ``Undeliverable`` where it takes everything but this). It decides nothing and starts nothing in the
background. One contract suite holds those of a port to the same behaviour; nobody but ``main``,
``connections``, ``kubernetes`` and ``stored`` names them.
"""
