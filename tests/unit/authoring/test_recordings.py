"""Recordings are told to Prefect in the background: in order, all of them, at nobody's cost."""

from __future__ import annotations

import logging
import threading
from datetime import UTC, datetime, timedelta, timezone
from typing import Any
from uuid import uuid4

import httpx
import pytest
from prefect import flow
from prefect.settings import PREFECT_LOGGING_TO_API_ENABLED, temporary_settings

from skald_bridge.authoring import all_recorded, recorded, recordings
from skald_bridge.authoring.recordings import Payload, _Writer, told
from skald_bridge.domain.errors import InvalidInput
from skald_bridge.modes.offline import offline_api
from tests.services.runs import talking_to

START = datetime(2026, 1, 1, 13, tzinfo=timezone(timedelta(hours=1)))


def nth(number: int) -> Payload:
    return told(f"{number}.mp4", START, 2.0, "h264", 10)


class Prefect:
    """Answers with these errors first, in order, then takes what it is given."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, *errors: Exception) -> None:
        self.errors, self.got = list(errors), list[str]()
        self.open = threading.Event()
        monkeypatch.setattr(_Writer, "_write", lambda _, made: self.write(made))
        monkeypatch.setattr(recordings, "FIRST_PAUSE", 0.01)

    def write(self, made: Payload) -> None:
        assert self.open.wait(30)
        if self.errors:
            raise self.errors.pop(0)
        self.got.append(made.data["path"])


def answered(code: int) -> httpx.HTTPStatusError:
    request = httpx.Request("POST", "http://prefect/api/artifacts/")
    return httpx.HTTPStatusError("no", request=request, response=httpx.Response(code, request=request))


def test_what_is_told() -> None:
    made = told("/media/a.mp4", START, 2.34567, "h264/aac", 1000)
    assert made.data == {
        "path": "/media/a.mp4",
        "start": "2026-01-01T12:00:00+00:00",
        "seconds": 2.346,
        "codec": "h264/aac",
        "size": 1000,
    }
    assert made.text == "/media/a.mp4: 2.346 s from 2026-01-01T12:00:00+00:00, h264/aac, 1000 bytes"


def test_names_that_are_no_text_are_told_and_lengths_that_are_none_refused() -> None:
    assert told("caf\udce9.mp4", START, 1, "", 0).data["path"] == "caf\\udce9.mp4"
    for seconds in (-1.0, float("nan"), float("inf")):
        with pytest.raises(InvalidInput, match="seconds"):
            recorded("a.mp4", start=START, seconds=seconds)


def test_outside_a_run_it_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO, "skald.recordings"):
        recorded("a.mp4", start=datetime(2026, 1, 1, tzinfo=UTC), seconds=1)
    assert caplog.messages == ["a.mp4: 1 s from 2026-01-01T00:00:00+00:00, 0 bytes"]
    assert all_recorded(0)


def test_who_records_does_not_wait_and_nothing_is_lost_while_prefect_is_away(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    away = [httpx.ConnectError("away"), answered(503), answered(429), TimeoutError()]
    prefect = Prefect(monkeypatch, *away)
    writer = _Writer(uuid4())
    for number in range(5):
        writer.submit(nth(number))
    assert not writer.written(0)
    prefect.open.set()
    assert writer.written(30)
    assert prefect.got == [f"{number}.mp4" for number in range(5)]
    writer.submit(nth(5))
    assert writer.written(30)
    assert prefect.got[-1] == "5.mp4"


def test_what_prefect_refuses_holds_up_nothing(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    prefect = Prefect(monkeypatch, answered(422))
    prefect.open.set()
    writer = _Writer(uuid4())
    with caplog.at_level(logging.WARNING, "skald.recordings"):
        writer.submit(nth(0))
        writer.submit(nth(1))
        assert writer.written(30)
    assert prefect.got == ["1.mp4"]
    assert "0.mp4" in caplog.text


def test_memory_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    prefect = Prefect(monkeypatch)
    monkeypatch.setattr(recordings, "KEPT", 3)
    writer = _Writer(uuid4())
    for number in range(10):
        writer.submit(nth(number))
    prefect.open.set()
    assert writer.written(30)
    assert prefect.got[-3:] == ["7.mp4", "8.mp4", "9.mp4"]
    assert len(prefect.got) <= 4


def test_in_a_run_all_are_written_when_the_flow_has_waited(monkeypatch: pytest.MonkeyPatch) -> None:
    given: list[tuple[str, Any]] = []
    write = _Writer._write
    monkeypatch.setattr(
        _Writer, "_write", lambda self, made: (write(self, made), given.append((self._run_id, made)))
    )

    @flow
    def recorder() -> None:
        for number in range(3):
            recorded(f"{number}.mp4", start=START, seconds=2.0)
        assert all_recorded()
        assert [made.data["path"] for _, made in given] == ["0.mp4", "1.mp4", "2.mp4"]

    with (
        offline_api() as url,
        talking_to(url),
        temporary_settings({PREFECT_LOGGING_TO_API_ENABLED: False}),
    ):
        recorder()
    assert len({run for run, _ in given}) == 1
