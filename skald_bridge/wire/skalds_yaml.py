"""Skalds' YAML of tasks: ``TaskWorkers``, each entry one task."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from reprlib import Repr
from typing import Any

import yaml

from skald_bridge.domain.errors import InvalidInput
from skald_bridge.domain.values import MOST_DEPTH, check_values

_TOP = "TaskWorkers"
_FIELDS = {
    "className": "class_name",
    "class_name": "class_name",
    "isPersistent": "is_persistent",
    "is_persistent": "is_persistent",
    "attachments": "attachments",
}
_MOST_KEYS = 10_000
_SHORT = Repr()
_SHORT.maxlevel, _SHORT.maxstring, _SHORT.maxother = 2, 60, 60
_SHAPE = "Write TaskWorkers: and under it NAME: {className: …, isPersistent: …, attachments: {…}}."


@dataclass(frozen=True)
class Entry:
    """One task.

    ``attachments`` are as written, dates as text; ``is_persistent`` is true unless the file says otherwise.
    """

    id: str
    class_name: str
    attachments: dict[str, Any]
    is_persistent: bool = True


def parse(text: str, source: str) -> list[Entry]:
    """The entries in the file's order; ``source`` names the file in errors.

    Raises:
        InvalidInput: the message names the entry, the field and the remedy.
    """
    try:
        data = yaml.load(text, Loader=_Loader)  # noqa: S506 - derives from SafeLoader
    except yaml.YAMLError as error:
        raise InvalidInput(f"{source} is not YAML: {_where(error)}.", remedy=_SHAPE) from error
    except RecursionError:
        raise InvalidInput(
            f"{source} is nested too deep.", remedy=f"Nest at most {MOST_DEPTH} levels."
        ) from None
    except ValueError as error:
        # A date that is none, such as 2026-13-45, or a number of thousands of digits.
        raise InvalidInput(
            f"{source} has a value that cannot be read: {error!s:.200}.", remedy="Put quotes around it."
        ) from error
    entries = data.get(_TOP) if isinstance(data, Mapping) else None
    if not isinstance(entries, Mapping) or not entries:
        raise InvalidInput(f"{source}: {_TOP} is missing or has no entries.", remedy=_SHAPE)
    return [_entry(str(key), value, source) for key, value in entries.items()]


def _entry(key: str, value: object, source: str) -> Entry:
    label = f"{source}: entry {key}"
    if not isinstance(value, Mapping):
        raise InvalidInput(f"{label} is {_kind(value)}, not a mapping.", remedy=_SHAPE)
    given: dict[str, Any] = {}
    for name, item in value.items():
        field = _FIELDS.get(str(name))
        if field is None:
            near = get_close_matches(str(name), [field for field in _FIELDS if "_" not in field], 1)
            hint = (
                f"Did you mean {near[0]}?"
                if near
                else "An entry has className, isPersistent and attachments."
            )
            raise InvalidInput(f"{label} has an unknown field {name}.", remedy=hint)
        if field in given:
            raise InvalidInput(f"{label} gives {name} twice.", remedy="Keep one of them.")
        given[field] = item
    class_name = given.get("class_name")
    if not isinstance(class_name, str) or not class_name:
        raise InvalidInput(
            f"{label}: className is {'missing' if class_name is None else _kind(class_name)}.",
            remedy="Give the name of a task type, such as className: MyWorker.",
        )
    persistent = given.get("is_persistent", True)
    if not isinstance(persistent, bool):
        raise InvalidInput(
            f"{label}: isPersistent is {_kind(persistent)}, not true or false.",
            remedy="Write isPersistent: true for a task that is to run for ever, false for one that ends.",
        )
    attachments = given.get("attachments")
    if attachments is not None and not isinstance(attachments, Mapping):
        raise InvalidInput(
            f"{label}: attachments is {_kind(attachments)}, not a mapping.",
            remedy="Write one line per field of the task type's attachments model.",
        )
    given_attachments = dict(attachments or {})
    check_values(given_attachments, f"{label}: attachments")
    return Entry(key, class_name, given_attachments, persistent)


def _kind(value: object) -> str:
    # Not repr: aliases can make a value of a kilobyte as long as memory.
    return "empty" if value is None else _SHORT.repr(value)[:60]


def _where(error: yaml.YAMLError) -> str:
    mark = getattr(error, "problem_mark", None)
    problem = getattr(error, "problem", None) or str(error)
    return f"{problem} (line {mark.line + 1}, column {mark.column + 1})" if mark is not None else problem


class _Loader(yaml.SafeLoader):
    """Dates are text in ISO 8601; two entries of one name would silently become one."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        seen: set[str] = set()
        for key, _ in node.value:
            if key.tag == "tag:yaml.org,2002:merge" or not isinstance(key, yaml.ScalarNode):
                continue
            if str(key.value) in seen:
                raise yaml.constructor.ConstructorError(
                    None, None, f"the key {key.value} is given twice", key.start_mark
                )
            seen.add(str(key.value))
        return super().construct_mapping(node, deep)

    def flatten_mapping(self, node: yaml.MappingNode) -> None:
        super().flatten_mapping(node)
        # Merges of merges multiply; each is measured before the next one takes it in.
        if len(node.value) > _MOST_KEYS:
            raise yaml.constructor.ConstructorError(
                None, None, f"a mapping has more than {_MOST_KEYS:,} keys", node.start_mark
            )


def _date(loader: yaml.SafeLoader, node: yaml.ScalarNode) -> str:
    return str(loader.construct_yaml_timestamp(node).isoformat())


_Loader.add_constructor("tag:yaml.org,2002:timestamp", _date)
