"""The supervisor with real processes, real signals and real deaths."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from skald_bridge.domain.errors import Unavailable
from skald_bridge.installation.restarts import RestartPolicy
from skald_bridge.installation.supervisor import Part, PartChange, Supervisor
from skald_bridge.logs import Rotation, rotate
from tests.services.poll import until

SLEEP = [sys.executable, "-c", "import time; time.sleep(600)"]
STUBBORN = [
    sys.executable,
    "-c",
    "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('deaf', flush=True); "
    "time.sleep(600)",
]
HOLDER = """
import signal, sys
from pathlib import Path
from skald_bridge.installation.supervisor import Part, Supervisor
signal.signal(signal.SIGINT, signal.SIG_IGN)  # as a shell's background job has it
code = "import signal, time; print(signal.getsignal(signal.SIGINT), flush=True); time.sleep(600)"
parts = [Part(name, [sys.executable, "-c", code]) for name in ("first", "second")]
supervisor = Supervisor(parts, Path(sys.argv[1]))
supervisor.run(when_up=lambda: print(*supervisor.pids().values(), flush=True))
"""


def alive(pid: int) -> bool:
    with contextlib.suppress(psutil.NoSuchProcess):
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    return False


def test_parts_start_in_order_and_end_in_the_reverse_order(tmp_path: Path) -> None:
    told: list[PartChange] = []
    parts = [Part("first", SLEEP), Part("second", SLEEP)]
    with Supervisor(parts, tmp_path, tell=told.append) as supervisor:
        pids = supervisor.pids()
        assert set(pids) == {"first", "second"}
    assert [(change.part, change.what) for change in told] == [
        ("first", "started"),
        ("first", "ready"),
        ("second", "started"),
        ("second", "ready"),
        ("second", "stopped"),
        ("first", "stopped"),
    ]
    assert not any(alive(pid) for pid in pids.values())


def test_a_part_waits_until_the_one_before_is_ready(tmp_path: Path) -> None:
    asked: list[bool] = []

    def ready() -> bool:
        asked.append("second" in supervisor.pids())
        return len(asked) == 3

    supervisor = Supervisor([Part("first", SLEEP, ready=ready), Part("second", SLEEP)], tmp_path)
    with supervisor:
        assert asked == [False, False, False]
        assert "second" in supervisor.pids()


def test_a_killed_part_is_started_again(tmp_path: Path) -> None:
    told: list[PartChange] = []
    with Supervisor([Part("part", SLEEP)], tmp_path, tell=told.append) as supervisor:
        before = supervisor.pids()["part"]
        os.kill(before, signal.SIGKILL)
        until(lambda: supervisor.pids().get("part", before) != before, 20, "a new process")
    assert PartChange("part", "ended", "was ended by SIGKILL") in told
    assert PartChange("part", "restarting", f"in 0.5 s; log: {tmp_path / 'part.log'}") in told


def test_a_crash_loop_ends_all_and_shows_the_last_lines(tmp_path: Path) -> None:
    crash = [sys.executable, "-c", "print('no such camera'); raise SystemExit(7)"]
    parts = [Part("quiet", SLEEP), Part("loud", crash, ready=lambda: False)]
    supervisor = Supervisor(parts, tmp_path, policy=RestartPolicy(first=0.01, longest=0.01, most=3))
    with pytest.raises(Unavailable) as caught:
        supervisor.start()
    assert "The loud does not stay up" in caught.value.message
    assert "exit code 7" in caught.value.message
    assert "no such camera" in caught.value.message
    assert caught.value.remedy is not None
    assert str(tmp_path / "loud.log") in caught.value.remedy
    assert supervisor.pids() == {}


def test_a_part_that_never_becomes_ready_counts_as_ended(tmp_path: Path) -> None:
    part = Part("deaf", SLEEP, ready=lambda: False, ready_within=0.3)
    with pytest.raises(Unavailable, match="was not ready within"):
        Supervisor([part], tmp_path, policy=RestartPolicy(first=0.01, longest=0.01, most=2)).start()


def test_a_part_that_ignores_sigterm_is_killed_after_its_grace(tmp_path: Path) -> None:
    told: list[PartChange] = []
    part = Part("deaf", STUBBORN, ready=lambda: "deaf" in (tmp_path / "deaf.log").read_text(), grace=0.5)
    with Supervisor([part], tmp_path, tell=told.append) as supervisor:
        pid = supervisor.pids()["deaf"]
    assert not alive(pid)
    assert told[-1] == PartChange("deaf", "stopped", "killed, its grace was over")


def test_an_unknown_command_says_so_in_its_log(tmp_path: Path) -> None:
    policy = RestartPolicy(first=0.01, longest=0.01, most=1)
    with pytest.raises(Unavailable, match="no-such-command"):
        Supervisor([Part("x", ["no-such-command"], ready=lambda: False)], tmp_path, policy=policy).start()


@pytest.fixture
def holder(tmp_path: Path) -> Iterator[tuple[subprocess.Popen[str], list[int]]]:
    process = subprocess.Popen(
        [sys.executable, "-c", HOLDER, str(tmp_path)],
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    assert process.stdout is not None
    pids = [int(word) for word in process.stdout.readline().split()]
    assert len(pids) == 2
    yield process, pids
    process.kill()
    process.wait(10)
    process.stdout.close()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_ends_all(holder: tuple[subprocess.Popen[str], list[int]], number: int) -> None:
    process, pids = holder
    process.send_signal(number)
    assert process.wait(30) == 0
    assert not any(alive(pid) for pid in pids)


def test_no_part_survives_sigkill_of_its_supervisor(
    holder: tuple[subprocess.Popen[str], list[int]],
) -> None:
    process, pids = holder
    process.kill()
    process.wait(10)
    until(lambda: not any(alive(pid) for pid in pids), 10, "all parts gone")


def test_a_part_of_a_shell_job_still_hears_signals(
    holder: tuple[subprocess.Popen[str], list[int]], tmp_path: Path
) -> None:
    process, _ = holder
    until(lambda: "default_int_handler" in (tmp_path / "first.log").read_text(), 20, "the default handler")
    process.terminate()
    process.wait(30)


def test_output_is_put_aside_when_it_is_large_and_deleted_when_it_is_old(tmp_path: Path) -> None:
    log = tmp_path / "part.log"
    rotation = Rotation(megabytes=0.001, days=1)
    log.write_bytes(b"x" * 2000)
    now = time.time()
    with log.open("ab") as writer:
        rotate(log, rotation, now)
        writer.write(b"after")
        writer.flush()
    assert log.read_bytes() == b"after"
    aside = next(tmp_path.glob("part.log.2*"))
    assert aside.stat().st_size == 2000
    rotate(log, rotation, now + 2 * 86400)
    assert not aside.exists()
