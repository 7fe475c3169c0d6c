"""One server, a stock worker and a node; all cases that were asked for, a few at a time."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor

import pytest

from tests.parity.case import Case
from tests.parity.judge import Difference, differences
from tests.parity.play import Play
from tests.parity.pool import NODE, STOCK, Api, Pool, Watch
from tests.services.prefect_server import PrefectServer

AT_ONCE = 4
SETTLE_SECONDS = 8.0
"""For hooks, logs and processes that come to their end after the run."""


class Parity:
    """Plays cases on both sides; what comes of each is kept."""

    def __init__(self, stock: Pool, node: Pool, watch: Watch) -> None:
        self._pools = (stock, node)
        self._watch = watch
        self._cases = ThreadPoolExecutor(AT_ONCE, "case")
        self._sides = ThreadPoolExecutor(2 * AT_ONCE, "side")
        self._verdicts: dict[str, Future[list[Difference]]] = {}

    def begin(self, case: Case) -> Future[list[Difference]]:
        made = self._verdicts[case.name] = self._cases.submit(self._compare, case)
        return made

    def verdict(self, case: Case, again: bool = False) -> list[Difference]:
        """The differences; ``again`` plays the case once more."""
        begun = None if again else self._verdicts.get(case.name)
        return (begun or self.begin(case)).result()

    def close(self) -> None:
        self._cases.shutdown(cancel_futures=True)
        self._sides.shutdown()

    def _compare(self, case: Case) -> list[Difference]:
        with contextlib.ExitStack() as stack:
            plays = [stack.enter_context(Play(case, pool, self._watch)) for pool in self._pools]
            for performed in [self._sides.submit(play.perform) for play in plays]:
                performed.result()
            deadline = time.monotonic() + SETTLE_SECONDS
            while True:
                found = differences(
                    *(play.seen() for play in plays),
                    identities=case.identities,
                    differs=frozenset(case.differs),
                )
                if not found or time.monotonic() > deadline or any(play.stopped for play in plays):
                    break
                time.sleep(1)
            for play in plays:
                play.keep()
            return found


@pytest.fixture(scope="session")
def parity(
    server: PrefectServer, tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest
) -> Iterator[Parity]:
    folder = tmp_path_factory.mktemp("parity")
    with contextlib.ExitStack() as stack:
        api = Api(server.url)
        stack.callback(api.close)
        watch = Watch(api)
        stack.callback(watch.close)
        pools = [Pool(kind, server, api, folder / kind) for kind in (STOCK, NODE)]
        for pool in pools:
            stack.enter_context(pool.worker())
        made = Parity(*pools, watch)
        stack.callback(made.close)
        for item in request.session.items:
            case = getattr(item, "callspec", None) and item.callspec.params.get("case")
            if isinstance(case, Case):
                made.begin(case)
        yield made
