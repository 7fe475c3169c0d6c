"""Every case, on a stock worker and on a node: what its flows saw is the same."""

from __future__ import annotations

import pytest

from tests.parity.case import Case, found
from tests.parity.conftest import Parity

pytestmark = [pytest.mark.server, pytest.mark.slow, pytest.mark.timeout(900)]


@pytest.mark.parametrize("case", [pytest.param(case, id=case.name) for case in found()])
def test_is_the_same(case: Case, parity: Parity, request: pytest.FixtureRequest) -> None:
    differences = parity.verdict(case, again=getattr(request.node, "execution_count", 1) > 1)
    assert not differences, "\n".join([case.about, *(str(each) for each in differences)])
