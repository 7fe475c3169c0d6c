"""One server, a stock worker and a node; all cases that were asked for begin at once."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

import pytest

from tests.parity.both import Parity
from tests.parity.case import Case
from tests.parity.pool import NODE, STOCK, Api, Pool, Watch
from tests.services.prefect_server import running_server


@pytest.fixture(scope="module")
def parity(tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest) -> Iterator[Parity]:
    """On a server of its own: what is left of hundreds of runs would slow down whoever reads all of a server."""
    folder = tmp_path_factory.mktemp("parity")
    with contextlib.ExitStack() as stack:
        server = stack.enter_context(running_server(folder / "prefect"))
        api = Api(server.url)
        stack.callback(api.close)
        watch = Watch(api)
        stack.callback(watch.close)
        stock, node = (Pool(kind, server, api, folder / kind) for kind in (STOCK, NODE))
        for pool in (stock, node):
            stack.enter_context(pool.worker())
        made = Parity(stock, node, watch)
        stack.callback(made.close)
        for item in request.session.items:
            called = getattr(item, "callspec", None)
            if called is not None and isinstance(case := called.params.get("case"), Case):
                made.begin(case)
        yield made
