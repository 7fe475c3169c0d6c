"""What `skald deploy` reads in a prefect.yaml; pure."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from difflib import get_close_matches
from fnmatch import fnmatchcase
from typing import Any

from pydantic import ValidationError

from skald_bridge.domain.errors import InvalidInput, NotFound
from skald_work_pools.job import ignored_variables
from skald_work_pools.kubernetes_job import CannotGive, job_variables
from skald_work_pools.needs import Needs

EVERYWHERE = {"prefect.deployments.steps.set_working_directory": {"directory": "/"}}
"""A pull step for code that is installed: the one folder that every machine has, and only root writes to."""
_FILE_OF_OURS = re.compile(r"^flows/(\w+)\.py:(\w+)$")


@dataclass(frozen=True)
class DeploymentEntry:
    """One deployment; fields are empty where the file does not say them, or says them by a template."""

    name: str
    entrypoint: str = ""
    pool: str = ""
    job_variables: Mapping[str, Any] = field(default_factory=dict)
    misplaced: tuple[str, ...] = ()
    """Names of needs that stand where Prefect does not look for them, and where."""
    place: int = 0
    """Among the file's deployments."""


def entries(data: object, file: str) -> list[DeploymentEntry]:
    """The deployments of a prefect.yaml's content.

    Raises:
        InvalidInput: it is no such content; ``file`` is named.
    """
    found = data.get("deployments") if isinstance(data, Mapping) else None
    if not isinstance(found, list) or not found:
        raise InvalidInput(f"{file} names no deployments.", remedy="Write them under `deployments:`, a list.")
    return [_entry(each, file, number) for number, each in enumerate(found, 1)]


def chosen(all_of: Sequence[DeploymentEntry], names: Sequence[str]) -> list[DeploymentEntry]:
    """Those that ``names`` name, as Prefect understands them: NAME, FLOW/NAME, with ``*``; all without any.

    Raises:
        NotFound: one names none.
    """
    patterns = [name.rpartition("/")[2] for name in names]
    known = [entry.name for entry in all_of]
    for name, pattern in zip(names, patterns, strict=True):
        if not any(fnmatchcase(each, pattern) for each in known):
            near = get_close_matches(pattern, known, 1)
            hint = f"Did you mean {near[0]}?" if near else f"There are: {', '.join(known)}."
            raise NotFound(f"No deployment is named {name}.", remedy=hint)
    return [entry for entry in all_of if not names or any(fnmatchcase(entry.name, each) for each in patterns)]


def ignored(entry: DeploymentEntry, known: Sequence[str] | None) -> list[str]:
    """What the entry says that would go unheard; ``known`` are its pool's job variables, ``None``: not judged."""
    found = list(entry.misplaced)
    if known is not None:
        found += ignored_variables(entry.job_variables, known)
    return [f"deployment {entry.name}: {each}" for each in found]


def as_installed(data: Mapping[str, Any]) -> dict[str, Any]:
    """The product's own prefect.yaml, its flows by module path: found in each node's own installation."""
    moved = [
        {**entry, "entrypoint": _FILE_OF_OURS.sub(r"skald_bridge.task_types.\1:\2", entry["entrypoint"])}
        for entry in data["deployments"]
    ]
    return {**data, "pull": [EVERYWHERE], "deployments": moved}


def for_kubernetes(
    wanted: Sequence[DeploymentEntry],
    declared: Mapping[str, Mapping[str, Any]],
    templates: Mapping[str, Mapping[str, Any]],
) -> dict[int, dict[str, Any]]:
    """The job variables of those entries whose pools are of type kubernetes, by place.

    ``declared``: needs of task types by entrypoint; ``templates``: base job templates of such pools by name.

    Raises:
        InvalidInput: what an entry needs is nothing that a pod can have; all such are named, each with its remedy.
    """
    found: dict[int, dict[str, Any]] = {}
    refused: dict[str, str] = {}
    for entry in wanted:
        if entry.pool not in templates:
            continue
        try:
            found[entry.place] = job_variables(
                Needs.model_validate(declared.get(entry.entrypoint, {})),
                entry.job_variables,
                templates[entry.pool],
            )
        except CannotGive as error:
            refused[f"deployment {entry.name}, pool {entry.pool}: {error.message}"] = error.remedy
        except ValidationError as error:
            first = error.errors()[0]
            said = f"{'.'.join(map(str, first['loc']))}: {first['msg']}"
            refused[f"deployment {entry.name}: {said}"] = "Correct its job variables."
    if refused:
        raise InvalidInput(
            "\n".join(["Nothing was deployed, for a pod cannot have this:", *refused]),
            remedy="\n".join(dict.fromkeys(refused.values())),
        )
    return found


def with_job_variables(data: Mapping[str, Any], variables: Mapping[int, Mapping[str, Any]]) -> dict[str, Any]:
    """A prefect.yaml's content with these job variables, by place, instead of its own."""
    return {
        **data,
        "deployments": [
            {**entry, "work_pool": {**entry["work_pool"], "job_variables": dict(variables[place])}}
            if place in variables
            else entry
            for place, entry in enumerate(data["deployments"])
        ],
    }


def _entry(given: object, file: str, number: int) -> DeploymentEntry:
    if not isinstance(given, Mapping):
        raise InvalidInput(
            f"{file}: deployment {number} is no mapping.", remedy="Write `- name: NAME` and what follows."
        )
    pool = given.get("work_pool")
    if pool is not None and not isinstance(pool, Mapping):
        raise InvalidInput(
            f"{file}: work_pool of deployment {number} is no mapping.",
            remedy="Write `work_pool: {name: cpu}`.",
        )
    pool = pool or {}
    variables = pool.get("job_variables")
    return DeploymentEntry(
        str(given.get("name") or number),
        _plain(given.get("entrypoint")),
        _plain(pool.get("name")),
        variables if isinstance(variables, Mapping) else {},
        (*_misplaced(given, "the deployment"), *_misplaced(pool, "work_pool")),
        number - 1,
    )


def _misplaced(place: Mapping[str, Any], where: str) -> list[str]:
    names = ["needs", "job_variables", *Needs.model_fields]
    if where == "work_pool":
        names.remove("job_variables")
    if where == "the deployment":
        names.remove("tags")
    right = "work_pool: {job_variables: {cpus: …, memory: …, gpus: …}}"
    return [
        f"{name!r} is ignored where it stands, in {where}; write {right}" for name in names if name in place
    ]


def _plain(value: object) -> str:
    return value if isinstance(value, str) and "{{" not in value and "$" not in value else ""
