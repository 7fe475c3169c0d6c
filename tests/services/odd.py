"""Odd input of every kind that the bridge reads, found by hypothesis and by what people met."""

from __future__ import annotations

import json
from typing import Any, TypeVar

from bson import Binary, Code, Decimal128, Int64, MaxKey, MinKey, ObjectId, Regex, Timestamp
from bson.datetime_ms import DatetimeMS
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

T = TypeVar("T")
DEEP = 10_000


def some(strategy: st.SearchStrategy[T], count: int) -> list[T]:
    """So many examples; the same in every run."""
    found: list[T] = []

    @settings(
        max_examples=count,
        database=None,
        derandomize=True,
        deadline=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(strategy)
    def collect(item: T) -> None:
        found.append(item)

    collect()
    return found


texts = st.one_of(
    st.text(max_size=30), st.sampled_from(["", " ", "\0", "\x1b[2J", "a\nb", "../..", "%2F", "x" * 5000])
)
numbers = st.one_of(
    st.integers(),
    st.integers(min_value=2**62, max_value=2**70),
    st.floats(),
    st.sampled_from([2**63, -(2**63) - 1, 2**70, 1e308, -0.0]),
)
trees = st.recursive(
    st.one_of(st.none(), st.booleans(), numbers, texts),
    lambda inner: st.one_of(st.lists(inner, max_size=4), st.dictionaries(texts, inner, max_size=4)),
    max_leaves=12,
)
events = st.fixed_dictionaries(
    {},
    optional={
        "id": trees,
        "title": trees,
        "initiator": st.one_of(texts, trees),
        "recipient": trees,
        "createDateTime": trees,
        "updateDateTime": trees,
        "taskIds": st.one_of(st.lists(texts, max_size=4), trees),
        "task_ids": st.lists(texts, max_size=3),
        "attachments": trees,
    },
)

KNOWN_RECORDS = [
    b"",
    b"null",
    b"\xff\xfe\x00",
    b"{" * 5000,
    b"[" * DEEP + b"]" * DEEP,
    b'{"taskIds":["x"],"note":' + b"[" * DEEP + b"]" * DEEP + b"}",
    b"\0" * 200_000,
    b'{"taskIds":["x"],"createDateTime":' + b"9" * 5000 + b"}",
    b'{"taskIds":["x"],"attachments":{"a":NaN}}',
    b'{"taskIds":["\\ud800"],"attachments":{"a":"\\ud800"}}',
    b'{"taskIds":["' + b"\\u0000" * 100 + b'"]}',
    b'{"attachments":{"a":' + str(2**70).encode() + b"}}",
    b'{"attachments":' + b'{"a":' * 500 + b"1" + b"}" * 501,
    json.dumps({"taskIds": [f"t{number}" for number in range(30)]}).encode(),
    b'{"taskIds":"' + b"a" * 300_000 + b'"}',
]


def records(count: int) -> list[bytes]:
    """Values of Kafka records."""
    raw = some(st.binary(max_size=200), count // 3)
    shaped = [json.dumps(tree).encode() for tree in some(events, count // 3)]
    any_json = [json.dumps(tree).encode() for tree in some(trees, count // 3)]
    return [*KNOWN_RECORDS, *raw, *shaped, *any_json]


bson_values = st.one_of(
    trees.filter(lambda value: _fits(value)),
    st.sampled_from(
        [
            DatetimeMS(2**53),
            DatetimeMS(-(2**60)),
            ObjectId(b"0" * 12),
            Decimal128("NaN"),
            Decimal128("1E+6000"),
            Binary(b"\xff\0", 0),
            Binary(b"0" * 16, 4),
            Regex("a(", "i"),
            Code("function(){}"),
            Code("x", {"a": 1}),
            Int64(2**62),
            MinKey(),
            MaxKey(),
            Timestamp(1, 1),
            float("nan"),
            float("inf"),
        ]
    ),
)
FIELDS = [
    "id",
    "className",
    "source",
    "name",
    "description",
    "executor",
    "dependencies",
    "mode",
    "isPersistent",
    "createDateTime",
    "updateDateTime",
    "deadlineDateTime",
    "lifecycleStatus",
    "priority",
    "attachments",
    "unknown",
]


recordings = st.one_of(
    trees,
    st.fixed_dictionaries(
        {},
        optional={
            "path": trees,
            "start": st.one_of(trees, st.datetimes().map(str)),
            "seconds": trees,
            "codec": trees,
            "size": trees,
        },
    ),
)
"""What artifacts of recordings hold."""


def bson_documents(count: int, valid: dict[str, Any]) -> list[dict[str, Any]]:
    """``valid`` with one or some fields of any BSON type; all Created, so that they are looked at."""
    changes = st.dictionaries(st.sampled_from(FIELDS), bson_values, min_size=1, max_size=3)
    made = [{**valid, **change} for change in some(changes, count)]
    made += [{name: value for name, value in valid.items() if name != left_out} for left_out in FIELDS]
    deep: Any = 1
    for _ in range(90):
        deep = {"a": deep}
    made += [{**valid, "attachments": deep}, {**valid, "attachments": {"big": "x" * 9_000_000}}]
    return made


labels = st.dictionaries(
    st.sampled_from(
        [
            "skald.priority",
            "skald.source",
            "skald.persistent",
            "skald.deadline",
            "skald.mode",
            "skald.description",
            "skald.task-id",
            "skald.revision",
            "skald.node",
            "skald.pool",
            "skald.dependencies",
            "prefect.worker.name",
            "prefect.flow-run.id",
        ]
    ),
    st.one_of(
        st.booleans(),
        st.integers(min_value=-(2**63), max_value=2**63 - 1),
        st.floats(allow_nan=False, allow_infinity=False),
        st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=50),
        st.sampled_from(
            ["x" * 5000, "9" * 5000, "[" * 3000, '["a", 1, null]', "\x1b[2J\n", "1e999", 2**62, 1e300]
        ),
    ),
    max_size=6,
)


def _fits(value: Any) -> bool:
    """BSON holds no number beyond 64 bits, no NUL and no lone surrogates."""
    match value:
        case bool():
            return True
        case int():
            return -(2**63) <= value < 2**63
        case str():
            return "\0" not in value and value.encode(errors="ignore").decode() == value
        case dict():
            return all(
                _fits(key) and not key.startswith("$") and _fits(inner) for key, inner in value.items()
            )
        case list():
            return all(map(_fits, value))
    return True
