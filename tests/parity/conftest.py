"""One server, a stock worker and a node; all cases that were asked for begin at once."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

import pytest

from tests.parity.both import Parity
from tests.parity.case import Case
from tests.parity.pool import NODE, STOCK, Api, Pool, Watch
from tests.services.prefect_server import PrefectServer


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
