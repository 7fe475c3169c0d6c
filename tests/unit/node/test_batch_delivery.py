"""One item that the server refuses takes no other with it."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import httpx

from skald_work_pools.node.server.batch_delivery import SUSPECTS, deliver

REQUEST = httpx.Request("POST", "http://server/api/logs/")


def answered(code: int, body: object = None) -> httpx.HTTPStatusError:
    return httpx.HTTPStatusError(str(code), request=REQUEST, response=httpx.Response(code, json=body))


class Server:
    """Takes numbers; refuses batches with one of ``bad`` as ``refusal`` of their places says."""

    def __init__(self, bad: set[int], refusal: Callable[[list[int]], Exception]) -> None:
        self.bad, self.refusal = bad, refusal
        self.has: list[int] = []
        self.requests = 0

    async def post(self, items: Sequence[int]) -> None:
        self.requests += 1
        if places := [place for place, item in enumerate(items) if item in self.bad]:
            raise self.refusal(places)
        self.has += items


def naming(places: list[int]) -> Exception:
    """As Prefect's server answers."""
    details = [{"loc": ["body", place, "related"], "msg": "too many"} for place in places]
    return answered(422, {"exception_message": "Invalid request received.", "exception_detail": details})


def silent(code: int) -> Callable[[list[int]], Exception]:
    return lambda _: answered(code, {"detail": "no"})


async def test_the_items_that_an_answer_names_are_left_out_at_once() -> None:
    server = Server({3, 7}, naming)
    delivery = await deliver(range(10), server.post)
    assert server.has == delivery.taken == [0, 1, 2, 4, 5, 6, 8, 9] and server.requests == 2
    assert delivery.refused == [(3, "related: too many"), (7, "related: too many")]
    assert not delivery.left and delivery.error is None


async def test_an_item_that_no_answer_names_is_found_by_halving() -> None:
    server = Server({130}, silent(413))
    delivery = await deliver(range(200), server.post)
    assert server.has == delivery.taken == [each for each in range(200) if each != 130]
    assert delivery.refused == [(130, "HTTP 413 Request Entity Too Large")]
    assert server.requests <= 20


async def test_what_cannot_be_written_is_refused_too() -> None:
    delivery = await deliver(range(3), Server({1}, lambda _: ValueError("no JSON")).post)
    assert delivery.taken == [0, 2] and delivery.refused == [(1, "no JSON")]


async def test_a_server_that_is_away_refuses_nothing() -> None:
    for error in (httpx.ConnectError("away"), answered(503), answered(401)):
        server = Server({5}, lambda _, error=error: error)
        delivery = await deliver(range(10), server.post)
        assert delivery.left == list(range(10)) and delivery.error is error and server.requests == 1


async def test_what_was_taken_before_the_server_went_away_is_not_sent_again() -> None:
    calls = 0
    server = Server({9}, silent(413))

    async def post(items: Sequence[int]) -> None:
        nonlocal calls
        calls += 1
        if calls > 2:
            raise httpx.ReadError("away")
        await server.post(items)

    delivery = await deliver(range(10), post)
    assert delivery.taken == server.has == [0, 1, 2, 3, 4] and delivery.left == [5, 6, 7, 8, 9]


async def test_an_internal_error_is_an_items_fault_when_the_server_takes_others() -> None:
    server = Server({2}, silent(500))
    delivery = await deliver(range(8), server.post)
    assert sorted(server.has) == [0, 1, 3, 4, 5, 6, 7]
    assert [item for item, _ in delivery.refused] == [2] and delivery.error is None


async def test_a_connection_that_ends_with_an_internal_error_is_made_again() -> None:
    server, hung_up = Server({1}, silent(500)), False

    async def post(items: Sequence[int]) -> None:
        nonlocal hung_up
        if hung_up:
            hung_up = False
            raise httpx.ReadError("")
        hung_up = bool(server.bad.intersection(items))
        await server.post(items)

    delivery = await deliver(range(4), post)
    assert sorted(server.has) == [0, 2, 3] and [item for item, _ in delivery.refused] == [1]


async def test_a_broken_server_refuses_nothing() -> None:
    server = Server(set(range(200)), silent(500))
    delivery = await deliver(range(200), server.post)
    assert delivery.left == list(range(200)) and not delivery.refused and delivery.error is not None
    assert server.requests < 20 + SUSPECTS
    alone = await deliver([1], server.post)
    assert alone.left == [1] and not alone.refused


async def test_a_passing_internal_error_drops_nothing() -> None:
    server, failures = Server(set(), silent(500)), 3

    async def post(items: Sequence[int]) -> None:
        nonlocal failures
        if failures:
            failures -= 1
            raise answered(500)
        await server.post(items)

    delivery = await deliver(range(4), post)
    assert sorted(server.has) == [0, 1, 2, 3] and not delivery.refused
