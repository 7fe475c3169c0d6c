"""Every case, on a stock worker and on a node: what its flows saw is the same."""

from __future__ import annotations

import os
from importlib.util import find_spec
from pathlib import Path

import pytest

from tests.conftest import required
from tests.parity.both import Parity
from tests.parity.case import Case, found

pytestmark = [pytest.mark.server, pytest.mark.slow, pytest.mark.timeout(3600)]


EVERYDAY = frozenset(Path(__file__).with_name("everyday.txt").read_text().split())
"""Cases of every kind that the whole test run has time for; ``make parity`` runs all."""
CASES = [case for case in found() if "PARITY" in os.environ or case.name in EVERYDAY]


@pytest.mark.parametrize("case", [pytest.param(case, id=case.name) for case in CASES])
def test_is_the_same(case: Case, parity: Parity) -> None:
    if missing := [name for name in case.requires if find_spec(name) is None]:
        required(f"packages for {case.name}: {', '.join(missing)}")
    differences = parity.verdict(case)
    assert not differences, "\n".join([case.about, *(str(each) for each in differences)])
