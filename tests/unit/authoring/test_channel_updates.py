from __future__ import annotations

import socket
from collections.abc import Iterator
from contextlib import suppress

import pytest

from skald_work_pools.attachments import merge
from skald_work_pools.messages import Message, Run, Update, UpdateRejected
from skald_work_pools.node.forked.channel import Channel
from skald_work_pools.node.forked.update_inbox import UNTAKEN, UpdateInbox
from tests.services.poll import until

UPDATE = Update("u1", 2, {"a": 1})


@pytest.fixture
def pair() -> Iterator[tuple[Channel, Channel]]:
    node, child = socket.socketpair()
    yield Channel(node), Channel(child)
    for end in (node, child):
        with suppress(OSError):
            end.shutdown(socket.SHUT_RDWR)
        end.close()


def test_an_update_reaches_the_receiver(pair: tuple[Channel, Channel]) -> None:
    node, child = pair
    got: list[Update] = []
    child.take_updates(got.append)
    node.send(UPDATE)
    assert until(lambda: got, 5, "the update") == [UPDATE]


def test_an_early_update_is_held_for_a_receiver_that_comes(pair: tuple[Channel, Channel]) -> None:
    node, child = pair
    child.take_updates()
    node.send(UPDATE)
    got: list[Update] = []
    child.take_updates(got.append)
    assert until(lambda: got, 5, "the held update") == [UPDATE]


def test_without_a_receiver_an_update_is_refused_with_the_reason() -> None:
    refused: list[UpdateRejected] = []
    desk = UpdateInbox(refused.append, patience=0.01)
    desk.deliver(UPDATE)
    assert until(lambda: refused, 5, "the refusal") == [UpdateRejected("u1", 2, UNTAKEN)]


def test_a_child_knows_its_run(pair: tuple[Channel, Channel]) -> None:
    node, child = pair
    message: Message = Run({"id": "abc"}, "f.py:f", ".")
    node.send(message)
    assert child.receive() == message
    assert child.run_id == "abc"


@pytest.mark.parametrize(
    ("newest", "changes", "expected"),
    [
        ({"fixFrame": 1, "b": 2}, {"fix_frame": 3}, {"fixFrame": 3, "b": 2}),
        ({"fix_frame": 1}, {"fixFrame": 3}, {"fix_frame": 3}),
        ({"fixFrame": 1}, {"fixFrame": 3, "new": 4}, {"fixFrame": 3, "new": 4}),
        ({}, {"a": None}, {"a": None}),
    ],
)
def test_changes_are_merged_whatever_their_spelling(
    newest: dict[str, object], changes: dict[str, object], expected: dict[str, object]
) -> None:
    assert merge(newest, changes) == expected
