"""Skalds' three modes: edge, node, single_process, started by their YAML files and environment, unchanged.

``catalog`` finds the task types a file names, ``deploying`` makes deployments of them, and ``edge``, ``node`` and
``single`` keep them running the way Skalds does. ``offline`` runs a single process without any server.
"""

from skald_bridge.modes.options import Options, options
from skald_bridge.modes.run import run

__all__ = ["Options", "options", "run"]
