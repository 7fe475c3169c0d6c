"""A YAML file of a kilobyte that means gigabytes is refused, and fast."""

from __future__ import annotations

import pytest

from skald_bridge.domain.errors import InvalidInput
from skald_bridge.wire.skalds_yaml import parse

BOMB = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n" + "".join(
    f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]\n" for n in range(1, 12)
)
MERGES = "m0: &m0 {x: 1}\n" + "".join(
    f"m{n}: &m{n} {{<<: [{', '.join([f'*m{n - 1}'] * 10)}], k{n}: 1}}\n" for n in range(1, 12)
)


@pytest.mark.timeout(30)
@pytest.mark.parametrize(
    ("text", "says"),
    [
        (BOMB + "TaskWorkers: {t: {className: *a11}}\n", "className is"),
        (BOMB + "TaskWorkers: {t: {className: C, isPersistent: *a11}}\n", "isPersistent is"),
        (BOMB + "TaskWorkers: {t: {className: C, attachments: *a11}}\n", "attachments is"),
        (BOMB + "TaskWorkers: {t: {className: C, attachments: {x: *a11}}}\n", "attachments"),
        (BOMB + "TaskWorkers: {t: *a11}\n", "entry t is"),
        (BOMB + "TaskWorkers: *a11\n", "TaskWorkers is missing"),
        (BOMB + "TaskWorkers: {t: {? *a11 : 1}}\n", "not YAML"),
        (MERGES + "TaskWorkers: {t: *m11}\n", "more than 10,000 keys"),
    ],
)
def test_anchors_that_multiply_are_refused(text: str, says: str) -> None:
    with pytest.raises(InvalidInput, match=says) as refused:
        parse(text, "all_workers.yml")
    assert len(refused.value.message) < 500
    assert refused.value.remedy


def test_anchors_and_merges_as_people_use_them_stay() -> None:
    text = """\
common: &common {className: Camera, isPersistent: true}
TaskWorkers:
  one: {<<: *common, attachments: &given {rate: 10}}
  two: {<<: *common, attachments: {<<: *given, rate: 20}}
"""
    one, two = parse(text, "all_workers.yml")
    assert (one.class_name, one.attachments) == ("Camera", {"rate": 10})
    assert (two.class_name, two.attachments) == ("Camera", {"rate": 20})
