"""The product's own flows as modules of this package, wherever it is installed.

``skald deploy`` deploys them as ``skald_bridge.task_types.NAME:NAME``: every node finds them in its own
installation, on whatever machine and in whatever environment it runs.
"""

from __future__ import annotations

from skald_bridge.installation.bundled import flows_directory

__path__ = [str(flows_directory())]
