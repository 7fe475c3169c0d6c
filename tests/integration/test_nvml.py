"""GPUs as the real pynvml gives them, from a stub driver library."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import required
from tests.services import nvml_stub
from tests.services.nvml_stub import GIB, GPU_IS_LOST, NvmlStub, StubGpu

READER = """
import json, sys
from dataclasses import asdict
from skald_work_pools.nvml import Nvml
nvml = Nvml.from_environment()
print(json.dumps({"gpus": [asdict(gpu) for gpu in nvml.gpus], "problem": nvml.problem}), flush=True)
for line in sys.stdin:
    print(json.dumps({uuid: asdict(reading) for uuid, reading in nvml.readings().items()}), flush=True)
"""


class Reader:
    """A process that reads NVML whenever it is asked to."""

    def __init__(self, env: dict[str, str]) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-c", READER],
            env={**os.environ, **env},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        self.found = self._line()

    def readings(self) -> list[dict[str, Any]]:
        assert self.process.stdin is not None
        self.process.stdin.write("\n")
        self.process.stdin.flush()
        return list(self._line().values())

    def _line(self) -> dict[str, Any]:
        assert self.process.stdout is not None
        answer: dict[str, Any] = json.loads(self.process.stdout.readline())
        return answer

    def end(self) -> None:
        self.process.communicate(timeout=10)


@pytest.fixture
def stub(tmp_path: Path) -> NvmlStub:
    if not nvml_stub.available():
        required("gcc, to build the stub of NVIDIA's library")
    return NvmlStub(tmp_path)


@pytest.fixture
def reader(stub: NvmlStub) -> Iterator[Reader]:
    reader = Reader(stub.env)
    yield reader
    reader.end()


def test_gpus_are_described(reader: Reader, stub: NvmlStub) -> None:
    assert reader.found["problem"] == ""
    assert [gpu["uuid"] for gpu in reader.found["gpus"]] == [gpu.uuid for gpu in stub.gpus]
    first = reader.found["gpus"][0]
    assert first["name"] == "Stub RTX 0000"
    assert first["memory"] == 16 * GIB
    assert first["nvenc"] > 0 and first["nvdec"] > 0


def test_readings_follow_the_driver(reader: Reader, stub: NvmlStub) -> None:
    assert [reading["memory_used"] for reading in reader.readings()] == [0, 0]

    gpu = stub.gpus[1]
    gpu.used, gpu.encoder_utilisation, gpu.decoder_utilisation, gpu.encoder_sessions = 3 * GIB, 40, 7, 2
    gpu.processes = {os.getpid(): 2 * GIB, 2**22 + 1: -1}
    stub.write()

    idle, busy = reader.readings()
    assert idle["memory_used"] == 0 and idle["healthy"]
    assert busy["memory_used"] == 3 * GIB
    assert (busy["encoder_utilisation"], busy["decoder_utilisation"], busy["encoder_sessions"]) == (40, 7, 2)
    assert busy["processes"] == [
        {"pid": os.getpid(), "memory": 2 * GIB, "session": os.getsid(0)},
        {"pid": 2**22 + 1, "memory": None, "session": None},
    ]


def test_a_gpu_that_gets_lost_is_sick_until_it_answers_again(reader: Reader, stub: NvmlStub) -> None:
    stub.gpus[0].error = GPU_IS_LOST
    stub.write()
    for _ in range(2):
        sick, well = reader.readings()
        assert not sick["healthy"] and "lost" in sick["error"].lower()
        assert well["healthy"]

    stub.gpus[0].error = 0
    stub.write()
    assert all(reading["healthy"] for reading in reader.readings())


def test_what_a_gpu_does_not_offer_is_no_error(stub: NvmlStub) -> None:
    stub.gpus = [StubGpu("GPU-a", encoder_capacity=-1, encoder_sessions=-1, encoder_utilisation=-1)]
    stub.gpus[0].decoder_utilisation = -1
    stub.write()
    reader = Reader(stub.env)
    assert [(gpu["nvenc"], gpu["nvdec"]) for gpu in reader.found["gpus"]] == [(0, 0)]
    assert reader.readings()[0]["healthy"]
    reader.end()


def test_the_drivers_own_memory_is_nobodys(stub: NvmlStub) -> None:
    stub.gpus = [StubGpu("GPU-a", total=16 * GIB, reserved=GIB)]
    stub.write()
    reader = Reader(stub.env)
    assert reader.found["gpus"][0]["memory"] == 15 * GIB
    assert reader.readings()[0]["memory_used"] == 0
    reader.end()


@pytest.mark.parametrize(
    ("visible", "expected"),
    [("", []), ("1", [1]), ("GPU-00000000", [0]), ("1,0", [0, 1]), ("GPU-00000001-aaaa,7", [1])],
)
def test_cuda_visible_devices_restricts_the_node(stub: NvmlStub, visible: str, expected: list[int]) -> None:
    reader = Reader({**stub.env, "CUDA_VISIBLE_DEVICES": visible})
    assert [gpu["uuid"] for gpu in reader.found["gpus"]] == [stub.gpus[index].uuid for index in expected]
    assert len(reader.readings()) == len(expected)
    reader.end()


def test_a_gpu_lost_before_the_start_leaves_the_others(stub: NvmlStub) -> None:
    stub.gpus[0].error = GPU_IS_LOST
    stub.write()
    reader = Reader(stub.env)
    assert [gpu["uuid"] for gpu in reader.found["gpus"]] == [stub.gpus[1].uuid]
    assert "lost" in reader.found["problem"].lower()
    reader.end()


def test_no_driver_is_a_cpu_node(stub: NvmlStub) -> None:
    stub.file.unlink()
    reader = Reader(stub.env)
    assert reader.found["gpus"] == []
    assert "driver" in reader.found["problem"].lower()
    assert reader.readings() == []
    reader.end()
