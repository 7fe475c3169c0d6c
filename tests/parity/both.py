"""Cases played on both sides, a few at a time."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from functools import partial

from tests.parity.case import Case
from tests.parity.judge import Difference, differences, unexpected
from tests.parity.play import Play
from tests.parity.pool import Pool, Watch

AT_ONCE = 2
SETTLE_SECONDS = 60.0
"""For hooks, logs and processes that come to their end after the run: a busy stock worker's take long."""
LOOK_SECONDS = 2.0


class Parity:
    """Plays cases on both sides; what comes of each is kept."""

    def __init__(self, stock: Pool, node: Pool, watch: Watch) -> None:
        self._pools = (stock, node)
        self._watch = watch
        self._room = threading.Semaphore(AT_ONCE)
        self._cases = ThreadPoolExecutor(8 * AT_ONCE, "case")
        self._sides = ThreadPoolExecutor(2 * AT_ONCE, "side")
        self._verdicts: dict[str, Future[list[Difference]]] = {}

    def begin(self, case: Case) -> Future[list[Difference]]:
        made = self._verdicts[case.name] = self._cases.submit(self._compare, case)
        return made

    def verdict(self, case: Case) -> list[Difference]:
        """The differences."""
        begun = self._verdicts.get(case.name)
        return (begun or self.begin(case)).result()

    def close(self) -> None:
        self._cases.shutdown(cancel_futures=True)
        self._sides.shutdown()

    def _compare(self, case: Case) -> list[Difference]:
        with contextlib.ExitStack() as stack:
            pools = self._pools[1:] if case.expected else self._pools
            plays = [stack.enter_context(Play(case, pool, self._watch)) for pool in pools]
            with self._room:
                for performed in [self._sides.submit(play.perform) for play in plays]:
                    performed.result()
            found = self._settled(plays[-1], self._reading(case, plays))
            for play in plays:
                play.keep()
            return found

    def _reading(self, case: Case, plays: list[Play]) -> Callable[[], list[Difference]]:
        """Looks at both sides as they are now."""
        *stock, node = plays
        if not stock:
            return lambda: unexpected(node.seen(), case.expected)
        stock[0].rest()
        differ = partial(
            differences,
            identities=case.identities,
            differs=frozenset(case.differs),
            unsettled=frozenset(case.unsettled),
        )
        return lambda: differ(stock[0].seen(), node.seen())

    def _settled(self, node: Play, look: Callable[[], list[Difference]]) -> list[Difference]:
        """The differences that stay."""
        if not node.stopped:
            deadline = time.monotonic() + SETTLE_SECONDS
            while look() and time.monotonic() < deadline:
                time.sleep(LOOK_SECONDS)
            # Equal is not yet the end: a second hook or a late error may follow.
            time.sleep(LOOK_SECONDS)
        return look()
