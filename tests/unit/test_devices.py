"""Announcements, and this machine's cpus and memory."""

from __future__ import annotations

import json
import os
import re
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import psutil
import pytest

from skald_work_pools import host
from skald_work_pools.devices import Announcement, Capacity, Gpu, variable_name

ANNOUNCEMENT = Announcement(
    name="node 1",
    pool="gpu",
    host="box",
    pid=7,
    cpus=3.5,
    memory=2**33,
    started=datetime(2030, 1, 2, 3, 4, 5, tzinfo=UTC),
    version="0.1.0",
    gpus=(Gpu("GPU-1", "RTX", 2**34, 8, 16),),
    tags=frozenset({"b", "a"}),
    limit=4,
    task_types=frozenset({"Transcode"}),
    needs={"Transcode": {"gpus": 1, "tags": ["lan"]}},
)


def test_an_announcement_survives_json() -> None:
    text = json.dumps(ANNOUNCEMENT.to_dict())
    assert Announcement.from_dict(json.loads(text)) == ANNOUNCEMENT


def test_an_announcement_is_readable_by_others() -> None:
    data = ANNOUNCEMENT.to_dict()
    assert data["tags"] == ["a", "b"]
    assert data["started"] == "2030-01-02T03:04:05+00:00"
    assert data["gpus"][0]["uuid"] == "GPU-1"
    assert ANNOUNCEMENT.capacity == Capacity(3.5, 2**33, ANNOUNCEMENT.gpus, frozenset({"a", "b"}), 4)


def test_fields_of_a_newer_version_are_passed_over() -> None:
    data = ANNOUNCEMENT.to_dict()
    data["colour"] = "red"
    data["gpus"][0]["colour"] = "red"
    assert Announcement.from_dict(data) == ANNOUNCEMENT


def test_needs_are_told_as_far_as_a_variable_has_room() -> None:
    many = {f"Type{number:03}": {"cpus": 1.5} for number in range(500)}
    told = replace(ANNOUNCEMENT, needs=many).to_dict()["needs"]
    assert list(told) == list(many)[: len(told)]
    assert 20 < len(told) < 100


@pytest.mark.parametrize("change", [{"started": "yesterday"}, {"gpus": [{}]}, {"tags": None}])
def test_what_is_no_announcement_says_so(change: dict[str, object]) -> None:
    with pytest.raises(ValueError, match="not a node's announcement"):
        Announcement.from_dict({**ANNOUNCEMENT.to_dict(), **change})
    with pytest.raises(ValueError, match="pid"):
        Announcement.from_dict({key: value for key, value in ANNOUNCEMENT.to_dict().items() if key != "pid"})


def test_variable_names_are_prefects_and_unique() -> None:
    assert re.fullmatch(r"[a-z0-9_]{1,255}", variable_name("GPU pool é", "x" * 400))
    assert variable_name("a-b", "c") != variable_name("a", "b-c")
    assert ANNOUNCEMENT.variable == variable_name("gpu", "node 1")
    assert ANNOUNCEMENT.variable.startswith("skald_node_")


def machine(root: Path, groups: str, files: dict[str, str]) -> Path:
    for name, text in {"proc/self/cgroup": groups, **files}.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text + "\n")
    return root


def test_without_cgroups_the_machine_counts(tmp_path: Path) -> None:
    assert host.cpus(tmp_path) == len(os.sched_getaffinity(0))
    assert host.memory(tmp_path) == psutil.virtual_memory().total


def test_cgroup_v2_limits_of_any_level_count(tmp_path: Path) -> None:
    root = machine(
        tmp_path,
        "0::/pod/container",
        {
            "sys/fs/cgroup/pod/cpu.max": "50000 100000",
            "sys/fs/cgroup/pod/memory.max": "max",
            "sys/fs/cgroup/pod/container/cpu.max": "max 100000",
            "sys/fs/cgroup/pod/container/memory.max": "1048576",
        },
    )
    assert host.cpus(root) == 0.5
    assert host.memory(root) == 2**20


def test_cgroup_v1_limits_count(tmp_path: Path) -> None:
    root = machine(
        tmp_path,
        "5:memory:/docker/x\n4:cpu,cpuacct:/docker/x\n0::/",
        {
            "sys/fs/cgroup/cpu/docker/x/cpu.cfs_quota_us": "25000",
            "sys/fs/cgroup/cpu/docker/x/cpu.cfs_period_us": "100000",
            "sys/fs/cgroup/cpu/cpu.cfs_quota_us": "-1",
            "sys/fs/cgroup/cpu/cpu.cfs_period_us": "100000",
            "sys/fs/cgroup/memory/docker/x/memory.limit_in_bytes": "2097152",
            "sys/fs/cgroup/memory/memory.limit_in_bytes": "9223372036854771712",
        },
    )
    assert host.cpus(root) == 0.25
    assert host.memory(root) == 2**21


def test_inside_a_container_the_mounts_top_is_its_own_group(tmp_path: Path) -> None:
    root = machine(tmp_path, "0::/../other", {"sys/fs/cgroup/memory.max": "4096"})
    assert host.memory(root) == 4096
