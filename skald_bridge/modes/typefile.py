"""Files through which a node's child finds a registered task type again."""

from __future__ import annotations

import hashlib
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from prefect import Flow

from skald_bridge.domain.errors import InvalidInput
from skald_bridge.modes.catalog import Type, read_types

_TEMPLATE = '''"""Made by skald: the task type {name} of {source}."""

from skald_bridge.modes.typefile import task_type_of

task_type = task_type_of({name!r}, {source!r}, {path!r}, {retries!r})
'''


def write(found: Type, folder: Path, retries: int | None = None) -> str:
    """Write the file for a task type into ``folder`` and return Prefect's entrypoint for it.

    The file's name says its content: a repeat writes the same file. ``retries`` replaces the type's own.
    """
    path = [entry for entry in (str(Path.cwd()), *sys.path[:1]) if entry and Path(entry).is_dir()]
    text = _TEMPLATE.format(
        name=found.name, source=found.source, path=list(dict.fromkeys(path)), retries=retries
    )
    file = folder / hashlib.sha256(text.encode()).hexdigest()[:12] / f"{_file_name(found.name)}.py"
    file.parent.mkdir(parents=True, exist_ok=True)
    if not file.exists():
        whole = file.with_suffix(".new")
        whole.write_text(text, encoding="utf-8")
        whole.replace(file)
    return f"{file}:task_type"


def task_type_of(name: str, source: str, path: Sequence[str], retries: int | None) -> Flow[..., Any]:
    """The flow of a task type, in a process that has not imported it yet.

    Raises:
        InvalidInput: the source does not offer it any more.
    """
    sys.path.extend(entry for entry in path if entry not in sys.path)
    found = read_types(source).get(name)
    if found is None:
        raise InvalidInput(
            f"{source} offers no task type {name} any more.",
            remedy="Start the edge or node again, with the file that has it.",
        )
    return found.flow if retries is None else found.flow.with_options(retries=retries)


def _file_name(name: str) -> str:
    return "".join(c if c.isalnum() else "_" for c in name)
