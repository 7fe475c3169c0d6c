"""What a task can be given, at every door by the same check."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from skald_bridge.adapters.clock import SystemClock
from skald_bridge.adapters.prefect import PrefectEngine
from skald_bridge.domain.errors import InvalidInput
from skald_bridge.domain.ids import TaskId
from skald_bridge.domain.values import MOST_BYTES, MOST_DEPTH, check_values, json_bytes, read_json
from skald_bridge.wire.skalds import new_task_of, read_event, read_submitted, read_update
from skald_bridge.wire.skalds_yaml import parse
from tests.unit.bridge.document_intake import commands_over

NOW = datetime(2026, 1, 1, tzinfo=UTC)


def nested(levels: int) -> Any:
    value: Any = 1
    for _ in range(levels):
        value = [value]
    return value


BAD: dict[str, tuple[Any, str]] = {
    "nan": ({"rate": float("nan")}, "attachments.rate"),
    "infinity": ({"a": [{"b": float("-inf")}]}, "attachments.a[0].b"),
    "past 64 bits": ({"cameras": [0, 0, 0, {"rate": 2**70}]}, "attachments.cameras[3].rate"),
    "just past 64 bits": ({"n": 2**63}, "attachments.n"),
    "just past 64 bits below": ({"n": -(2**63) - 1}, "attachments.n"),
    "surrogate": ({"t": "a\ud800"}, "attachments.t"),
    "surrogate in a key": ({"k\udfff": 1}, r'attachments["k\udfff"]'),
    "nul": ({"t": "a\0b"}, "attachments.t"),
    "nul in a key": ({"a b\0": 1}, r'attachments["a b\u0000"]'),
    "depth": ({"deep": nested(MOST_DEPTH)}, "attachments.deep[0]"),
    "size": ({"t": "x" * MOST_BYTES}, "attachments"),
    "size once written": ({"t": "\x01" * (MOST_BYTES // 5)}, "attachments"),
}
NOT_JSON: dict[str, tuple[Any, str]] = {
    "date": ({"at": NOW}, "attachments.at: a datetime"),
    "bytes": ({"b": b"x"}, "attachments.b: a bytes"),
    "decimal": ({"d": Decimal(1)}, "attachments.d: a Decimal"),
    "tuple": ({"d": (1,)}, "attachments.d: a tuple"),
    "set": ({"d": {1}}, "attachments.d: a set"),
    "number as a key": ({"a": {1: 2}}, "attachments.a.1"),
}
each_bad = pytest.mark.parametrize(("value", "path"), (BAD | NOT_JSON).values(), ids=(BAD | NOT_JSON).keys())
each_json = pytest.mark.parametrize(("value", "path"), BAD.values(), ids=BAD.keys())


@each_bad
def test_what_is_refused_is_named_with_its_path_and_a_remedy(value: Any, path: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        check_values(value)
    assert caught.value.message.startswith(path)
    assert caught.value.remedy
    assert len(caught.value.message) < 500
    caught.value.message.encode()


def test_what_is_within_bounds_passes() -> None:
    check_values(
        {"n": [2**63 - 1, -(2**63), 1.5, None, True, "größe 🎬", {}], "deep": nested(MOST_DEPTH - 1)}
    )
    check_values({"t": "x" * (MOST_BYTES - 8)})
    with pytest.raises(InvalidInput):
        check_values({"t": "x" * (MOST_BYTES - 7)})


def test_the_depth_is_met_without_recursion() -> None:
    with pytest.raises(InvalidInput, match="deep"):
        check_values(nested(20_000))
    ring: list[Any] = []
    ring.append(ring)
    with pytest.raises(InvalidInput, match="deep"):
        check_values(ring)


def test_what_grows_by_repetition_is_met_before_it_is_written_out() -> None:
    with pytest.raises(InvalidInput, match="larger"):
        check_values([0] * MOST_BYTES)
    laughs: Any = ["l" * 1000] * 10
    for _ in range(20):
        laughs = [laughs] * 10
    with pytest.raises(InvalidInput, match="larger"):
        check_values(laughs)


TREES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.binary() | st.just(NOW),
    lambda inner: st.lists(inner) | st.dictionaries(st.text() | st.integers(), inner),
    max_leaves=20,
)


@given(TREES)
def test_what_passes_is_what_comes_back(tree: Any) -> None:
    try:
        check_values(tree)
    except InvalidInput as error:
        error.message.encode()
        return
    sent = json.dumps(tree, allow_nan=False, ensure_ascii=False, separators=(",", ":")).encode()
    assert json_bytes(tree) == len(sent)
    assert read_json(sent) == tree


@each_bad
def test_the_door_of_documents_and_of_rest(value: Any, path: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        new_task_of(read_submitted({"id": "t", "className": "Probe", "attachments": value}), NOW)
    assert caught.value.message.startswith(path)


@each_json
def test_the_door_of_workers_updates(value: Any, path: str) -> None:
    with pytest.raises(InvalidInput):
        read_update(json.dumps({"attachments": value}))


@each_bad
async def test_the_door_of_updates(value: Any, path: str) -> None:
    commands, engine = commands_over()
    with pytest.raises(InvalidInput) as caught:
        await commands.update(TaskId("t"), value)
    assert caught.value.message.startswith(path)
    assert engine.told == []


@each_bad
async def test_the_door_of_prefect(value: Any, path: str) -> None:
    """It is met before anything is asked: this engine has no connection."""
    engine, task = PrefectEngine(), TaskId("t")
    doors = (
        engine.create("Probe", value),
        engine.update(task, value, timeout=1),
        engine.restart(task, value),
    )
    for door in doors:
        with pytest.raises(InvalidInput) as caught:
            await door
        assert caught.value.message.startswith(path)


@pytest.mark.parametrize(
    ("sent", "named"),
    [
        (b'{"a":' + b"[" * 100_000 + b"]" * 100_000 + b"}", "nested too deep"),
        (b'{"attachments": {"n": ' + b"9" * 5000 + b"}}", "digits"),
        (b'{"attachments": {"n": NaN}}', "NaN"),
        (b'{"attachments": {"n": -Infinity}}', "-Infinity"),
        (b"\xff{}", "not JSON"),
        (b"{", "not JSON"),
    ],
    ids=["depth", "digits", "nan", "infinity", "bytes", "end"],
)
def test_what_cannot_even_be_read_says_why(sent: bytes, named: str) -> None:
    for read in (read_event, read_submitted, read_update, read_json):
        with pytest.raises(InvalidInput) as caught:
            read(sent)
        assert named in caught.value.message and caught.value.remedy
        assert len(caught.value.message) < 500


@pytest.mark.parametrize(
    ("fields", "named"),
    [
        ({"id": ""}, "id"),
        ({"id": "a/b"}, "id"),
        ({"id": "x" * 201}, "id"),
        ({"id": "a\nb"}, "id"),
        ({"className": " "}, "className"),
        ({"className": "x" * 201}, "className"),
        ({"className": "a\0b"}, "className"),
        ({"className": "a\x1b[31m"}, "className"),
        ({"name": "x" * 201}, "name"),
        ({"name": "a\nb"}, "name"),
        ({"source": "x" * 201}, "source"),
        ({"executor": "x" * 201}, "executor"),
        ({"mode": "x" * 201}, "mode"),
        ({"description": "x" * 4001}, "description"),
        ({"description": "a\0"}, "description"),
        ({"dependencies": [f"d{n}" for n in range(1001)]}, "dependencies"),
        ({"dependencies": ["good", "a/b"]}, "dependencies[1]"),
        ({"createDateTime": 10**4000}, "createDateTime"),
        ({"deadlineDateTime": 2**53}, "deadlineDateTime"),
    ],
)
def test_every_field_is_bounded_and_named(fields: dict[str, Any], named: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        new_task_of(read_submitted({"id": "t", "className": "Probe", **fields}), SystemClock().now())
    assert caught.value.message.startswith(f"{named}:")
    assert len(caught.value.message) < 500


def test_a_description_may_have_lines() -> None:
    made = new_task_of(read_submitted({"id": "t", "className": "P", "description": "a\nb"}), NOW)
    assert made.description == "a\nb"


def in_yaml(attachments: str) -> str:
    return f"TaskWorkers: {{a: {{className: X, attachments: {attachments}}}}}"


def test_dates_in_yaml_are_text() -> None:
    (entry,) = parse(in_yaml("{day: 2026-01-02, at: 2026-01-02T03:04:05Z, t: '2026-01-02'}"), "f.yml")
    assert entry.attachments == {"day": "2026-01-02", "at": "2026-01-02T03:04:05+00:00", "t": "2026-01-02"}


@pytest.mark.parametrize(
    ("attachments", "named"),
    [
        ("{n: .nan}", "attachments.n"),
        ("{n: [1, .inf]}", "attachments.n[1]"),
        (f"{{n: {2**70}}}", "attachments.n"),
        ("{n: !!binary aGk=}", "attachments.n"),
        ("{n: !!set {a, b}}", "attachments.n"),
        ("{1: a}", "attachments.1"),
        ("{n: {yes: a}}", "attachments.n.True"),
        ('{n: "a\\0b"}', "attachments.n"),
        ("{n: &x [*x]}", "attachments.n"),
        ("{n: " + "[" * 70 + "]" * 70 + "}", "deep"),
        ("{n: " + "[" * 400 + "]" * 400 + "}", "deep"),
        ("{n: " + "9" * 5000 + "}", "f.yml"),
        ("{n: 2026-13-45}", "f.yml"),
    ],
)
def test_the_door_of_yaml(attachments: str, named: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        parse(in_yaml(attachments), "f.yml")
    assert named in caught.value.message and caught.value.message.startswith("f.yml")
    assert caught.value.remedy and len(caught.value.message) < 500
