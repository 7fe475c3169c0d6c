"""A node with deployments of more environments than stems are kept unused."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from skald_work_pools.node.processes.codebases import Codebases
from skald_work_pools.node.processes.launch_plan import Codebase
from skald_work_pools.node.processes.stems import MOST, Stems

pytestmark = [pytest.mark.timeout(300)]
FLOW = """
from prefect import flow


@flow
def main() -> None:
    pass
"""


async def test_what_is_loaded_stays_loaded_however_many_environments_there_are(tmp_path: Path) -> None:
    (tmp_path / "flow.py").write_text(FLOW)
    stems = Stems()
    codebases = Codebases(stems, 1, 2**40, {})
    wanted = [
        Codebase(str(tmp_path), "flow.py:main", (("MALLOC_ARENA_MAX", str(number)),))
        for number in range(1, MOST + 3)
    ]
    try:
        await stems.default()
        await asyncio.gather(*(codebases.current(each) for each in wanted))
        first = [codebases.ready(each) for each in wanted]
        assert all(first)
        assert {each.choice.start for each in first if each} == {"forked"}
        await codebases.refresh()
        assert [codebases.ready(each) for each in wanted] == first
    finally:
        await codebases.close()
        await stems.close()
