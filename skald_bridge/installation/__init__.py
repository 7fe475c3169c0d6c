"""Everything that ``skald up`` keeps running on one machine, and how others find it.

``parts`` says what an installation is made of: Prefect's server, the bridge, nodes. ``supervisor`` keeps them alive
as child processes that die with their parent (``die_with_parent``), by the rules of ``restarts``. ``running`` is how
a second command finds the installation of a home. The ``embedded`` modules are Prefect's own server on SQLite, with
what makes it carry one person's load; ``bundled`` finds the product's flows beside it.

Nothing here mirrors, schedules or talks to Skalds: that is the bridge's work, which is one of the parts.
"""
