from __future__ import annotations

from typing import Any

import pytest

from skald_bridge.domain.errors import InvalidInput, NotFound
from skald_bridge.modes.prefect_yaml import (
    EVERYWHERE,
    DeploymentEntry,
    as_installed,
    chosen,
    entries,
    ignored,
)
from skald_work_pools.job import SkaldJobConfiguration, SkaldVariables, ignored_variables, pool_variables

KNOWN = pool_variables(
    {
        "variables": SkaldVariables.model_json_schema(),
        "job_configuration": {**SkaldJobConfiguration.json_template(), "label": "{{ team }}"},
    }
)


def test_the_variables_of_a_pool_are_described_or_used() -> None:
    assert set(KNOWN) == {
        "cpus", "memory", "gpus", "gpu_memory", "nvenc", "nvdec", "tags", "env", "start", "team",
    }  # fmt: skip
    assert pool_variables({}) == []


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"cpus": 2, "env": {}, "team": "a"}, []),
        (
            {"needs": {"gpus": 1}},
            ["job variable 'needs' is ignored: write its entries without it, job_variables: {gpus: 1}"],
        ),
        ({"gpu": 1}, ["job variable 'gpu' is ignored, did you mean 'gpus'?"]),
    ],
)
def test_what_prefect_would_drop_is_named(given: dict[str, Any], said: list[str]) -> None:
    assert ignored_variables(given, KNOWN) == said


def test_an_unlike_name_gets_all_of_them() -> None:
    (said,) = ignored_variables({"image": "x"}, KNOWN)
    assert "cpus, env, gpu_memory" in said


def test_needs_that_stand_elsewhere_are_named() -> None:
    file = {
        "deployments": [
            {"name": "a", "needs": {"gpus": 1}, "tags": ["t"], "work_pool": {"name": "w", "gpus": 1}}
        ]
    }
    (entry,) = entries(file, "prefect.yaml")
    said = ignored(entry, None)
    assert len(said) == 2
    assert said[0].startswith("deployment a: 'needs' is ignored where it stands, in the deployment")
    assert said[1].startswith("deployment a: 'gpus' is ignored where it stands, in work_pool")


def test_deployments_are_chosen_as_prefect_chooses_them() -> None:
    found = [DeploymentEntry("cut"), DeploymentEntry("cut-gpu"), DeploymentEntry("join")]
    assert chosen(found, []) == found
    assert [each.name for each in chosen(found, ["flow/cut*"])] == ["cut", "cut-gpu"]
    with pytest.raises(NotFound) as caught:
        chosen(found, ["cutt"])
    assert caught.value.remedy == "Did you mean cut?"


@pytest.mark.parametrize(
    "data", [None, {}, {"deployments": []}, {"deployments": ["a"]}, {"deployments": [{"work_pool": 1}]}]
)
def test_what_is_no_prefect_yaml_is_refused(data: object) -> None:
    with pytest.raises(InvalidInput, match=r"prefect\.yaml"):
        entries(data, "prefect.yaml")


def test_templates_are_left_to_prefect() -> None:
    (entry,) = entries(
        {"deployments": [{"name": "a", "entrypoint": "{{ e }}", "work_pool": {"name": "$POOL"}}]}, "f"
    )
    assert (entry.entrypoint, entry.pool) == ("", "")


def test_the_products_flows_are_deployed_by_module_path() -> None:
    made = as_installed({"name": "p", "deployments": [{"name": "a", "entrypoint": "flows/cut.py:cut"}]})
    assert made == {
        "name": "p",
        "pull": [EVERYWHERE],
        "deployments": [{"name": "a", "entrypoint": "skald_bridge.task_types.cut:cut"}],
    }
