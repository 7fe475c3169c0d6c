"""Skald on Prefect: task types as flows, nodes as work pools, and the bridge to the Skalds world.

Rooms, imported downwards only:

* ``cli``, ``modes`` and ``skalds``: how people start things, by our command or by Skalds' own entry points;
* ``main``, ``connections``, ``kubernetes`` and ``stored``: the only places that know which adapter stands behind
  which port;
* ``api``: HTTP for Skalds' users; ``services``: the bridge's duties; ``installation``: what ``skald up`` keeps running;
* ``adapters``: Prefect, Kafka, Redis, MongoDB and SQLite behind ``ports``;
* ``authoring`` and ``media``: what task types are written with;
* ``settings``, ``wire`` and ``domain``: names, bytes and decisions, all pure.
"""
