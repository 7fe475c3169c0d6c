"""A product flow that runs while its test does something else."""

from __future__ import annotations

import threading
from contextvars import copy_context
from typing import Any

from skald_bridge.authoring.testing import updates


class Running:
    """A flow on a thread; ``feed`` sends it updates, ``ended`` gives its last state."""

    def __init__(self, flow: Any, attachments: dict[str, Any]) -> None:
        self.state: Any = None
        self.feed: Any = None
        self._ready = threading.Event()
        run = copy_context().run  # so that the flow, too, talks to the test's server
        self._thread = threading.Thread(target=run, args=(self._run, flow, attachments), daemon=True)
        self._thread.start()
        assert self._ready.wait(30)

    def _run(self, flow: Any, attachments: dict[str, Any]) -> None:
        with updates() as self.feed:
            self._ready.set()
            self.state = flow(attachments, return_state=True)

    def ended(self, seconds: float = 60) -> Any:
        self._thread.join(seconds)
        assert not self._thread.is_alive()
        return self.state
