"""What the two sides saw, compared."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

NOTHING = "—"
SHOWN = 400


@dataclass(frozen=True)
class Seen:
    """Of one run: ``fields`` by name; ``reported`` tells whether the flow itself left any of them."""

    run: str
    fields: Mapping[str, Any] = field(default_factory=dict)
    reported: bool = False


@dataclass(frozen=True)
class Difference:
    run: str
    name: str
    stock: Any
    node: Any

    def __str__(self) -> str:
        return f"{self.run}: {self.name}\n    stock {_shown(self.stock)}\n    node  {_shown(self.node)}"


def differences(
    stock: Sequence[Seen],
    node: Sequence[Seen],
    *,
    identities: frozenset[str],
    differs: frozenset[str],
    unsettled: frozenset[str] = frozenset(),
) -> list[Difference]:
    """Nothing if a stranger could not tell the sides apart.

    Args:
        identities: fields whose values are replaced by the number of the run that had them first.
        differs: fields that are said to differ by nature: they must, in at least one run.
        unsettled: fields that are not compared.
    """
    found = [
        Difference("all runs", "what the flows reported", *(_reported(side) for side in (stock, node)))
        for _ in range(1)
        if not all(any(run.reported for run in side) for side in (stock, node))
    ]
    by_nature: set[str] = set()
    stock = _continued(_numbered(stock, identities), node, identities)
    node = _numbered(node, identities)
    if len(stock) != len(node):
        found.append(Difference("all runs", "how many", len(stock), len(node)))
    for one, other in zip(stock, node, strict=False):
        for name in sorted(one.fields.keys() | other.fields.keys()):
            ours, theirs = one.fields.get(name, NOTHING), other.fields.get(name, NOTHING)
            if ours == theirs or name in unsettled:
                continue
            if name in differs:
                by_nature.add(name)
            else:
                found.append(Difference(one.run, name, ours, theirs))
    found += [Difference("all runs", name, "is said to differ", "is equal") for name in differs - by_nature]
    return found


def unexpected(node: Sequence[Seen], expected: Mapping[str, Any]) -> list[Difference]:
    """What runs on a node saw otherwise than they must; a run that reported nothing saw nothing of it."""
    return [
        Difference(run.run, name, value, run.fields.get(name, NOTHING))
        for run in node
        for name, value in expected.items()
        if not run.reported or run.fields.get(name, NOTHING) != value
    ] or ([] if node else [Difference("all runs", "how many", "some", 0)])


def _reported(side: Sequence[Seen]) -> str:
    return ", ".join(run.run for run in side if run.reported) or "nothing at all"


def _continued(stock: list[Seen], node: Sequence[Seen], identities: frozenset[str]) -> list[Seen]:
    """With the runs that only the node has: as the last one was, and unlike all others where no two were alike."""
    made = list(stock)
    for run in node[len(stock) :]:
        if len(stock) < 2:
            break
        fields = dict(stock[-1].fields)
        for name in identities & fields.keys():
            if fields[name] == f"as in {stock[-1].run}":
                fields[name] = f"as in {run.run}"
        made.append(Seen(run.run, fields, stock[-1].reported))
    return made


def _numbered(side: Sequence[Seen], identities: frozenset[str]) -> list[Seen]:
    firsts: dict[tuple[str, str], str] = {}
    made = []
    for run in side:
        fields = {
            name: firsts.setdefault((name, repr(value)), f"as in {run.run}") if name in identities else value
            for name, value in run.fields.items()
        }
        made.append(Seen(run.run, fields, run.reported))
    return made


def _shown(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= SHOWN else f"{text[:SHOWN]}… ({len(text)} characters)"
