"""Skalds' three modes: edge, node, single_process."""

from skald_bridge.modes.options import Options, options
from skald_bridge.modes.run import run

__all__ = ["Options", "options", "run"]
