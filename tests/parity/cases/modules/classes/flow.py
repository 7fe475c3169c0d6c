from __future__ import annotations

import inspect
import json
import pickle
import typing
from dataclasses import dataclass
from pathlib import Path

from prefect import flow, task
from pydantic import BaseModel


class Line(BaseModel):
    count: int


class Order(BaseModel):
    item: str
    lines: list[Line]


@dataclass
class Note:
    text: str
    next: Note | None = None


@task
def noted(order: Order) -> Note:
    return Note(order.item)


def outcome(call) -> str:
    try:
        return str(call())
    except Exception as error:
        return type(error).__name__


@flow
def main(out: str, order: Order) -> None:
    note = noted(order)
    seen = {
        "order": type(order).__name__,
        "is_ours": isinstance(order, Order),
        "lines": [type(line) is Line for line in order.lines],
        "note": type(note) is Note,
        "pickle": outcome(lambda: pickle.loads(pickle.dumps(note)) == note),
        "hints": outcome(lambda: sorted(typing.get_type_hints(Note))),
        "source": outcome(lambda: len(inspect.getsource(noted.fn))),
        "file": __file__,
        "name": __name__,
        "spec": __spec__ is not None and __spec__.name,
        "module": Order.__module__ == __name__,
    }
    Path(out, "seen.json").write_text(json.dumps(seen))
