from __future__ import annotations

import contextlib
import json
from datetime import UTC, datetime
from string import ascii_letters

import pytest
from hypothesis import given
from hypothesis import strategies as st

from skald_work_pools.devices import Capacity, Gpu
from skald_work_pools.gpu_choice import GpuState
from skald_work_pools.leases import Lease, Usage
from skald_work_pools.link.frames import LARGEST, BadFrame, TooLarge, WrongVersion, decode, encode
from skald_work_pools.link.messages import (
    Alive,
    Changes,
    Free,
    Hello,
    Offer,
    Refused,
    Report,
    Taken,
    Welcome,
)
from skald_work_pools.link.reports import difference, free_of, merged, usage_of
from skald_work_pools.needs import Needs

names = st.text(min_size=1, max_size=40)
few = st.text(ascii_letters, min_size=1, max_size=2)
counts = st.integers(0, 2**40)
cores = st.floats(0, 4096, allow_nan=False)
gpus = st.builds(Gpu, names, names, counts, counts, counts)
states = st.builds(GpuState, gpus, st.booleans(), counts, counts, st.booleans(), counts, counts, counts)
needs = st.builds(
    Needs, cpus=cores, memory=counts, gpus=st.integers(0, 4), tags=st.frozensets(names, max_size=2)
)
times = st.datetimes(timezones=st.just(UTC))
leases = st.builds(
    Lease, few, needs, st.lists(few, max_size=2).map(tuple), times, st.none() | counts, st.none() | times
)
free = st.builds(
    Free, cores, st.integers(-(2**40), 2**40), st.none() | counts, st.lists(states, max_size=2).map(tuple)
)
told = st.dictionaries(
    names, st.fixed_dictionaries({"cpus": cores, "tags": st.lists(names, max_size=2)}), max_size=2
)
reports = st.builds(
    Report,
    free,
    st.lists(leases, max_size=4, unique_by=lambda lease: lease.run_id).map(tuple),
    st.frozensets(names, max_size=3),
    told,
    st.booleans(),
    st.booleans(),
)
capacities = st.builds(
    Capacity,
    cores,
    counts,
    st.lists(gpus, max_size=2).map(tuple),
    st.frozensets(names, max_size=2),
    st.none() | counts,
)
values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**53), 2**53)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=10,
)
messages = st.one_of(
    st.builds(Hello, names, names, names, names, capacities, reports, st.frozensets(names, max_size=2)),
    st.builds(
        Changes,
        st.none() | free,
        st.lists(leases, max_size=2).map(tuple),
        st.lists(names, max_size=2).map(tuple),
        st.none() | st.frozensets(names, max_size=2),
        st.none() | told,
        st.none() | st.booleans(),
        st.none() | st.booleans(),
    ),
    st.builds(Taken, names),
    st.builds(Refused, names, st.text(max_size=2000), st.booleans()),
    st.just(Alive()),
    st.builds(Welcome, st.floats(0.1, 100)),
    st.builds(Offer, names, names, names, st.dictionaries(st.text(), values, max_size=4)),
)


@given(messages)
def test_what_was_said_is_read(message):
    assert decode(encode(message)) == message


@given(reports, reports)
def test_changes_make_of_a_report_the_next(before, after):
    changes = difference(before, after)
    found = before if changes is None else merged(before, changes)
    assert sorted(found.leases, key=str) == sorted(after.leases, key=str)
    assert found == Report(after.free, found.leases, after.types, after.needs, after.draining, after.waiting)


@given(reports)
def test_what_has_not_changed_is_not_said(report):
    assert difference(report, report) is None


@given(reports)
def test_placement_reads_the_books_as_the_node_has_them(report):
    usage = usage_of(report)
    assert free_of(usage) == report.free and usage.leases == report.leases
    assert isinstance(usage, Usage)


def test_a_change_is_smaller_than_all_there_is():
    lease = [Lease(f"{n}", Needs(cpus=1), (), datetime(2026, 1, 1, tzinfo=UTC)) for n in range(50)]
    before = Report(Free(8, 100), tuple(lease), frozenset(f"type-{n}" for n in range(50)))
    after = Report(Free(9, 100), tuple(lease[1:]), before.types)
    changes = difference(before, after)
    assert changes == Changes(Free(9, 100), ended=("0",))
    assert len(encode(changes)) < 200


def test_being_alive_takes_few_bytes():
    assert len(encode(Alive())) < 50


def test_an_unknown_kind_is_passed_over():
    assert decode(b'{"v":1,"kind":"from the future","body":{"a":1}}') is None


def test_fields_of_a_newer_node_are_passed_over():
    assert decode(b'{"v":1,"kind":"taken","body":{"run_id":"a","mood":"good"}}') == Taken("a")


@pytest.mark.parametrize("version", ["2", "0", "null", '"1"', "true"])
def test_another_version_is_refused_with_a_reason(version):
    with pytest.raises(WrongVersion, match=r"version .* of the link's protocol; 1 is spoken here"):
        decode(f'{{"v":{version},"kind":"alive","body":{{}}}}')


@pytest.mark.parametrize(
    "frame",
    [
        b"",
        b"\xff\xfe",
        b"[]",
        b"3",
        b"[" * 3000,
        b'{"v":1,"kind":"taken"}',
        b'{"v":1,"kind":"taken","body":{}}',
        b'{"v":1,"kind":"taken","body":{"run_id":""}}',
        b'{"v":1,"kind":"taken","body":{"run_id":7}}',
        b'{"v":1,"kind":"welcome","body":{"every":0}}',
        b'{"v":1,"kind":"welcome","body":{"every":NaN}}',
        b'{"v":1,"kind":"refused","body":{"run_id":"a","reason":"' + b"x" * 2001 + b'"}}',
        b" " * (LARGEST + 1),
    ],
)
def test_what_is_no_frame_is_refused(frame):
    with pytest.raises(BadFrame):
        decode(frame)


@pytest.mark.parametrize("cpus", ["1e999", "-1"])
def test_a_node_cannot_have_what_no_node_has(cpus):
    frame = encode(Hello("n", "l", "p", "cpu", Capacity(7, 0), Report(Free(0, 0))))
    body = frame.decode().replace('"cpus":7.0', f'"cpus":{cpus}')
    assert body != frame.decode()
    with pytest.raises(BadFrame):
        decode(body)


def test_what_does_not_fit_into_a_frame_is_not_sent():
    with pytest.raises(TooLarge):
        encode(Offer("r", "p", "q", {"parameters": "x" * LARGEST}))


@given(
    st.binary(max_size=200) | st.dictionaries(st.text(), values).map(lambda found: json.dumps(found).encode())
)
def test_no_bytes_break_the_reader(frame):
    with contextlib.suppress(BadFrame):
        decode(frame)
