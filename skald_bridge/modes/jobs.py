"""Entries of a YAML file, checked against the task types that are there."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ValidationError

from skald_bridge.authoring.problems import describe
from skald_bridge.domain.errors import InvalidInput, NotFound
from skald_bridge.modes.catalog import Type, TypeCatalog
from skald_bridge.wire.skalds_yaml import Entry, parse


@dataclass(frozen=True)
class CheckedEntry:
    """An entry whose class is known and whose attachments are valid."""

    entry: Entry
    type: Type
    attachments: BaseModel

    def parameters(self) -> dict[str, Any]:
        """The flow run's parameters: the attachments by alias."""
        return {self.type.parameter: self.attachments.model_dump(mode="json", by_alias=True)}


def read_entries(path: Path | None) -> list[Entry]:
    """The entries of a file.

    Raises:
        InvalidInput: no file was named, or its content is wrong.
        NotFound: there is no such file.
    """
    if path is None:
        raise InvalidInput(
            "This mode needs a YAML file of tasks.",
            remedy="Name it: skald run FILE.yml, YAML_FILE=FILE.yml, or SkaldConfig(yaml_file=…).",
        )
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise NotFound(
            f"There is no file {path}.", remedy="Check the path in yaml_file (YAML_FILE)."
        ) from None
    except (OSError, UnicodeDecodeError) as error:
        raise InvalidInput(f"{path} cannot be read: {error}.", remedy="It must be text in UTF-8.") from error
    return parse(text, str(path))


def checked(entries: Sequence[Entry], catalog: TypeCatalog, source: Path | None) -> list[CheckedEntry]:
    """Every entry as a job; the first wrong one is the error.

    Raises:
        InvalidInput: an unknown class, or attachments that its model does not take.
    """
    return [_checked(entry, catalog, source) for entry in entries]


def _checked(entry: Entry, catalog: TypeCatalog, source: Path | None) -> CheckedEntry:
    label = f"{source}: entry {entry.id}"
    found = catalog.find(entry.class_name)
    if found is None:
        near = get_close_matches(entry.class_name, catalog.names(), 1)
        hint = f"Did you mean {near[0]}? " if near else ""
        raise InvalidInput(
            f"{label}, className: there is no task type {entry.class_name}.",
            remedy=f"{hint}Known are: {', '.join(catalog.names()) or 'none'}. "
            "Give the file that has it: --import FILE.py, SKALD_IMPORT=FILE.py, or register_task_worker(…).",
        )
    try:
        return CheckedEntry(entry, found, found.model.model_validate(entry.attachments))
    except ValidationError as error:
        raise InvalidInput(
            f"{label}, attachments of {entry.class_name}: {describe(error, found.model)}.",
            remedy=f"Correct it in {source}.",
        ) from error
