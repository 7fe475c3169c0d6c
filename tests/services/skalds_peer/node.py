"""A real Skald node: ``python node.py CLASS ...``; the rest of its configuration is in its environment."""

from __future__ import annotations

import sys

import workers
from skalds.config.skald_config import SkaldConfig
from skalds.skald import Skald

app = Skald(SkaldConfig(skald_mode="node"))
for name in sys.argv[1:]:
    app.register_task_worker(getattr(workers, name))
app.run()
