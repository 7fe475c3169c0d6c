"""`--needs KEY=VALUE`."""

from __future__ import annotations

import pytest

from skald_bridge.cli.needs import job_variables
from skald_bridge.domain.errors import InvalidInput


def test_needs_become_job_variables() -> None:
    given = ["gpus=1", "memory=2GiB", "cpus=0.5", "tags=lan, cuda-12"]
    assert job_variables(given) == {"gpus": 1, "memory": "2GiB", "cpus": 0.5, "tags": ["lan", "cuda-12"]}
    assert job_variables(['tags=["a"]']) == {"tags": ["a"]}
    assert job_variables([]) == {}


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["gpus"], "not KEY=VALUE"),
        (["=1"], "not KEY=VALUE"),
        (["gpu=1"], "unknown field 'gpu', did you mean 'gpus'"),
        (["gpus=1", "gpus=2"], "gpus is given twice"),
        (["gpus=many"], "gpus: Input should be a valid integer"),
        (["memory=lots"], "memory: .*is not a size"),
        (["cpus=-1"], "cpus: Input should be greater"),
    ],
)
def test_what_is_wrong_is_named(words: list[str], says: str) -> None:
    with pytest.raises(InvalidInput, match=f"--needs: .*{says}|--needs: {says}") as raised:
        job_variables(words)
    assert raised.value.remedy
