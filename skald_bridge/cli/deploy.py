"""`skald deploy [DIR]`."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Annotated, Any

import typer

from skald_bridge.cli.connect import connect
from skald_bridge.cli.invocation import invocation
from skald_bridge.cli.output import console, plain, say, table
from skald_bridge.domain.errors import InvalidInput, NotFound, Rejected
from skald_bridge.domain.why import NODE_POOL_TYPE

_TOLD = 8
"""Lines of Prefect's text that are shown when it fails."""
_UNKNOWN: Mapping[str, Any] = {"flow": "?", "needs": {}}


def deploy(
    context: typer.Context,
    folder: Annotated[
        Path | None,
        typer.Argument(
            metavar="DIR", help="A folder with a prefect.yaml. [default: the flows of this package]"
        ),
    ] = None,
    name: Annotated[
        list[str] | None, typer.Option("--name", "-n", help="Only this deployment; may be repeated.")
    ] = None,
    verbose: Annotated[bool, typer.Option("--verbose", "-v", help="Show Prefect's own text too.")] = False,
) -> None:
    """Deploy the flows of a folder, or those of this package.

    It is `prefect deploy`, without questions; a flow that cannot be imported is an error and deploys nothing.
    Work pools that are missing are made, for nodes. Which nodes find the code: docs/deploying.md. In a pool of type
    kubernetes a task type's needs become a pod's resources.
    """
    settings = invocation(context).settings()
    url = connect(settings)
    names = name or []
    with ExitStack() as stack:
        place = folder if folder is not None else _ours(Path(stack.enter_context(_scratch())))
        scratch = Path(stack.enter_context(_scratch()))
        _deploy(place, names, url, scratch, ours=folder is None, verbose=verbose)


def _deploy(place: Path, names: Sequence[str], url: str, scratch: Path, *, ours: bool, verbose: bool) -> None:
    of = "this package" if ours else str(place)
    say(f"deploying from {of} to {url}")
    from skald_bridge.modes import prefect_yaml

    file = place / "prefect.yaml"
    data = _read(file)
    wanted = prefect_yaml.chosen(prefect_yaml.entries(data, str(file)), names)
    flows = _examine(place, [entry.entrypoint for entry in wanted if entry.entrypoint])
    pods = _check_pools(wanted, flows)
    which = [word for one in names for word in ("--name", one)] if names else ["--all"]
    command = [sys.executable, "-m", "prefect", "--no-prompt", "deploy", *which]
    if pods:
        command += ["--prefect-file", str(_written(scratch, prefect_yaml.with_job_variables(data, pods)))]
    done = subprocess.run(
        command,
        cwd=place,
        stdin=subprocess.DEVNULL,
        stdout=None if verbose else subprocess.PIPE,
        stderr=None if verbose else subprocess.STDOUT,
        text=True,
        env={**os.environ, "NO_COLOR": "1"},
        check=False,
    )
    if done.returncode != 0:
        lines = [line for line in (done.stdout or "").splitlines() if line.strip()]
        raise Rejected(
            "\n".join(["Prefect did not deploy all of it:", *lines[-_TOLD:]]),
            remedy="Mend what it names; skald deploy --verbose shows all that Prefect says.",
        )
    where = "each node's installation" if ours else _where(data)
    rows = [
        [f"{flows.get(entry.entrypoint, _UNKNOWN)['flow']}/{entry.name}", entry.pool or "?", where]
        for entry in wanted
    ]
    console().print(
        table(["DEPLOYMENT", "POOL", "CODE FROM"], [[plain(cell) for cell in row] for row in rows])
    )


def _examine(place: Path, entrypoints: Sequence[str]) -> dict[str, Mapping[str, Any]]:
    """What was found by entrypoint, ``flow`` and ``needs`` among it; warnings of their code are told.

    Raises:
        InvalidInput: a flow cannot be loaded.
    """
    command = [sys.executable, "-m", "skald_bridge.modes.entrypoints", *dict.fromkeys(entrypoints)]
    done = subprocess.run(
        command, cwd=place, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False
    )
    found = [json.loads(line) for line in done.stdout.splitlines()]
    wrong = [each for each in found if each["error"]]
    if done.returncode != 0:
        last = (done.stderr.strip().splitlines() or [f"exit code {done.returncode}"])[-1]
        missed = [
            each for each in dict.fromkeys(entrypoints) if each not in {one["entrypoint"] for one in found}
        ]
        wrong.append({"entrypoint": missed[0] if missed else "?", "error": last, "where": ""})
    if wrong:
        raise InvalidInput(
            "\n".join(["A flow cannot be loaded, and nothing was deployed:", *map(_wrong, wrong)]),
            remedy="Mend it, or install what is missing, and deploy again.",
        )
    for each in found:
        for warning in each["warnings"]:
            say(f"warning: {each['entrypoint']}: {warning}")
    return {each["entrypoint"]: each for each in found}


def _wrong(found: Mapping[str, Any]) -> str:
    at = f" at {found['where']}" if found["where"] else ""
    return f"{found['entrypoint']}: {found['error']}{at}"


def _check_pools(wanted: Sequence[Any], flows: Mapping[str, Mapping[str, Any]]) -> dict[int, dict[str, Any]]:
    """Make the pools that are missing; returns the job variables of entries whose pools are Kubernetes', by place.

    Raises:
        InvalidInput: an entry says something that Prefect would drop without a word, or needs what no pod can have.
    """
    from skald_bridge.main import base_job_templates, ensure_pools
    from skald_bridge.modes import prefect_yaml
    from skald_work_pools import job, kubernetes_job
    from skald_work_pools.needs import Needs

    pools = sorted({entry.pool for entry in wanted if entry.pool})
    for made in asyncio.run(ensure_pools(pools)):
        say(f"created work pool {made}, type skald")
    found = asyncio.run(base_job_templates(pools))
    templates = {
        pool: template for pool, (kind, template) in found.items() if kind == kubernetes_job.POOL_TYPE
    }
    known = {
        pool: [*job.pool_variables(template), *(Needs.model_fields if pool in templates else ())]
        for pool, (kind, template) in found.items()
        if pool in templates or kind == NODE_POOL_TYPE
    }
    unheard = [line for entry in wanted for line in prefect_yaml.ignored(entry, known.get(entry.pool))]
    if unheard:
        raise InvalidInput(
            "\n".join(["Prefect would ignore this, so nothing was deployed:", *unheard]),
            remedy="Write the needs as job variables, or leave them to the flow's @task_type.",
        )
    declared = {entrypoint: flow["needs"] for entrypoint, flow in flows.items()}
    return prefect_yaml.for_kubernetes(wanted, declared, templates)


def _read(file: Path) -> Any:
    import yaml

    try:
        return yaml.safe_load(file.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise NotFound(
            f"{file.parent} holds no prefect.yaml.",
            remedy="Name a folder that has one, or write it: "
            "deployments: [{name: NAME, entrypoint: FILE.py:FLOW, work_pool: {name: cpu}}]",
        ) from None
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise InvalidInput(f"{file} cannot be read: {error}", remedy="Mend the file.") from error


def _where(data: Any) -> str:
    """Where nodes get the code of a user's folder, in few words."""
    pull = data.get("pull") if isinstance(data, Mapping) else None
    steps = [next(iter(step), "") for step in pull or [] if isinstance(step, Mapping)]
    if any("git_clone" in step for step in steps):
        return "git"
    others = [step.rpartition(".")[2] for step in steps if not step.endswith("set_working_directory")]
    return ", ".join(others) or "the same folder on each node"


def _scratch() -> tempfile.TemporaryDirectory[str]:
    return tempfile.TemporaryDirectory(prefix="skald-deploy-")


def _ours(scratch: Path) -> Path:
    """A folder with the product's prefect.yaml, its flows by module path."""
    import yaml

    from skald_bridge.installation.bundled import flows_root
    from skald_bridge.modes.prefect_yaml import as_installed

    try:
        data = yaml.safe_load((flows_root() / "prefect.yaml").read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise NotFound(str(error)) from error
    return _written(scratch, as_installed(data)).parent


def _written(scratch: Path, data: Mapping[str, Any]) -> Path:
    import yaml

    file = scratch / "prefect.yaml"
    file.write_text(yaml.safe_dump(dict(data), sort_keys=False, allow_unicode=True), encoding="utf-8")
    return file
