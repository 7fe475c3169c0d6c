"""What `skald k8s` is told of a pod, as options; and the workloads that a file then means."""

from __future__ import annotations

import difflib
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from skald_bridge.domain.errors import InvalidInput, NotFound, SkaldError

if TYPE_CHECKING:
    from skald_bridge.wire.manifests import Workload
    from skald_bridge.wire.skalds_yaml import Entry
    from skald_work_pools.needs import Needs

_MOST = 2**31 - 1
"""What Kubernetes' numbers of 32 bits hold."""

File = Annotated[Path, typer.Argument(metavar="FILE", help="A Skalds YAML file.")]
Task = Annotated[
    list[str] | None, typer.Option("--task", "-t", help="Only this entry; may be repeated. [default: all]")
]
Image = Annotated[str, typer.Option("--image", help="The image, with your workers in it.")]
Imports = Annotated[
    list[str] | None,
    typer.Option(
        "--import",
        "-i",
        help="A module or file with the task types: attachments are checked, needs taken from it.",
    ),
]
Cpus = Annotated[float | None, typer.Option("--cpus", min=0, help="CPU cores reserved.")]
Memory = Annotated[str | None, typer.Option("--memory", help="Memory reserved, at most as much: 2GiB.")]
Gpu = Annotated[int | None, typer.Option("--gpu", min=0, help="Whole GPUs.")]
GpuResource = Annotated[
    str, typer.Option("--gpu-resource", help="What the cluster calls them, such as nvidia.com/mig-1g.5gb.")
]
GpuModel = Annotated[
    str | None, typer.Option("--gpu-model", help="Nodes with this model, such as NVIDIA-L4 (by --gpu-label).")
]
GpuLabel = Annotated[str, typer.Option("--gpu-label", help="The node label that names the model.")]
Shm = Annotated[str | None, typer.Option("--shm", help="Size of /dev/shm, in memory: 1GiB.")]
Env = Annotated[
    list[str] | None, typer.Option("--env", "-e", metavar="NAME=VALUE", help="A variable; may be repeated.")
]
Secret = Annotated[
    list[str] | None,
    typer.Option("--secret", metavar="NAME=SECRET:KEY", help="A variable from a Secret; may be repeated."),
]
NodeSelector = Annotated[
    list[str] | None,
    typer.Option("--node-selector", metavar="KEY=VALUE", help="Nodes with this label; may be repeated."),
]
Grace = Annotated[int, typer.Option("--grace", min=0, help="Seconds for release when the pod is ended.")]
Probes = Annotated[
    bool, typer.Option("--probes/--no-probes", help="Leave them out for an image without prefect-skald.")
]
Schedule = Annotated[
    str | None, typer.Option("--schedule", help="A CronJob for entries that end: '0 3 * * *'.")
]
Retries = Annotated[int, typer.Option("--retries", min=0, help="New pods for a failed entry that ends.")]
Keep = Annotated[int, typer.Option("--keep", min=0, help="Seconds that an ended Job is kept.")]
Disruptions = Annotated[
    int,
    typer.Option(
        "--disruptions", min=0, max=1, help="1 lets a drained node end a persistent task; with 0 it waits."
    ),
]


def built(file: Path, given: dict[str, Any]) -> list[Workload]:
    """The workloads of a file's chosen entries; ``given`` are the options above by parameter name.

    Raises:
        NotFound: there is no such file or entry.
        InvalidInput: the file, an option or a need is wrong.
    """
    from skald_bridge.modes.jobs import read_entries
    from skald_bridge.wire.manifests import Options, workloads
    from skald_bridge.wire.pods import Gpus, PodOptions

    _check_numbers(given)
    entries = _chosen(read_entries(file), given["task"] or [], file)
    declared = _declared(entries, given["imports"] or [], file)
    secrets = pairs(given["secret"], "--secret", "NAME=SECRET:KEY")
    options = [
        Options(
            PodOptions(
                image=given["image"],
                needs=_needs(needs, given),
                gpus=Gpus(given["gpu_resource"], given["gpu_model"], given["gpu_label"]),
                shared_memory=size("--shm", given["shm"]) or 0,
                environment=pairs(given["env"], "--env", "NAME=VALUE"),
                secrets={name: secret_ref(name, text) for name, text in secrets.items()},
                node_selector=pairs(given["node_selector"], "--node-selector", "KEY=VALUE"),
                grace=given["grace"],
                probes=given["probes"],
            ),
            schedule=None if entry.is_persistent and len(entries) > 1 else given["schedule"],
            retries=given["retries"],
            keep=given["keep"],
            disruptions=given["disruptions"],
        )
        for entry, needs in zip(entries, declared, strict=True)
    ]
    return workloads(list(zip(entries, options, strict=True)))


def agreed(changes: int, namespace: str) -> None:
    """A person at a terminal is asked, and raises ``SkaldError`` by no; a script has said what it wants."""
    if changes and sys.stdin.isatty() and not typer.confirm(f"Make these {changes} changes in {namespace}?"):
        raise SkaldError("Nothing was changed.", remedy="Answer y, or say --yes.")


def _check_numbers(given: dict[str, Any]) -> None:
    for name in ("cpus", "gpu", "grace", "retries", "keep"):
        if given[name] is not None and given[name] > _MOST:
            raise InvalidInput(
                f"--{name}: {given[name]} is more than Kubernetes counts to.", remedy=f"Give at most {_MOST}."
            )


def _chosen(entries: Sequence[Entry], tasks: Sequence[str], file: Path) -> list[Entry]:
    by_id = {entry.id: entry for entry in entries}
    for task in tasks:
        if task not in by_id:
            near = difflib.get_close_matches(task, by_id, 1)
            hint = f"Did you mean {near[0]}? " if near else ""
            raise NotFound(f"{file} has no entry {task}.", remedy=f"{hint}It has: {', '.join(by_id)}.")
    return [by_id[task] for task in dict.fromkeys(tasks)] or list(entries)


def _declared(entries: Sequence[Entry], imports: Sequence[str], file: Path) -> list[Needs]:
    """Their task types' needs, where we are told where those are; else the image alone knows."""
    from skald_work_pools.needs import Needs

    if not imports:
        return [Needs() for _ in entries]
    from skald_bridge.modes.catalog import catalog
    from skald_bridge.modes.jobs import checked
    from skald_work_pools.task_type import declared

    types = (declared(job.type.flow) for job in checked(entries, catalog(imports), file))
    return [found.needs if found is not None else Needs() for found in types]


def _needs(declared: Needs, given: dict[str, Any]) -> Needs:
    changes: dict[str, Any] = {"cpus": given["cpus"], "memory": size("--memory", given["memory"])}
    if given["gpu"] is not None:
        changes |= {"gpus": given["gpu"], "gpu_memory": 0, "nvenc": 0, "nvdec": 0}
    return declared.overridden_by(changes)


def size(option: str, text: str | None) -> int | None:
    from skald_work_pools.needs import parse_size

    if text is None:
        return None
    try:
        return int(str(parse_size(text)))
    except ValueError as error:
        raise InvalidInput(f"{option}: {error}.", remedy=f"Write such as {option} 2GiB.") from error


def pairs(words: Sequence[str] | None, option: str, form: str) -> dict[str, str]:
    found: dict[str, str] = {}
    for word in words or ():
        name, equals, text = word.partition("=")
        if not name or not equals:
            raise InvalidInput(f"{option}: {word!r} is not {form}.", remedy=f"Write {option} {form}.")
        if name in found:
            raise InvalidInput(f"{option}: {name} is given twice.", remedy="Keep one.")
        found[name] = text
    return found


def secret_ref(name: str, text: str) -> tuple[str, str]:
    secret, colon, key = text.partition(":")
    if not (secret and colon and key):
        raise InvalidInput(
            f"--secret: {text!r} is not SECRET:KEY.", remedy=f"Write --secret {name}=SECRET:KEY."
        )
    return secret, key
