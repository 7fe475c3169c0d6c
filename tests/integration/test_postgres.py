"""A Prefect server of ours on PostgreSQL, as a team runs it."""

from __future__ import annotations

import os
from pathlib import Path

import httpx
import psutil

from tests.services.postgres import running_postgres
from tests.services.prefect_server import PrefectServer


def test_a_server_migrates_and_answers_on_a_private_cluster_that_is_gone_afterwards(tmp_path: Path) -> None:
    with running_postgres() as cluster:
        assert os.geteuid() != 0 or psutil.Process(cluster.process.pid).uids().real != 0
        server = PrefectServer(tmp_path / "prefect", database_url=cluster.prefect_url)
        server.start()
        try:
            made = httpx.post(f"{server.url}/flows/", json={"name": "kept-in-postgres"}, timeout=30)
            assert made.status_code == 201
        finally:
            server.stop()
        assert not (tmp_path / "prefect" / "prefect.db").exists()
    assert not psutil.pid_exists(cluster.process.pid)
    assert not cluster.folder.exists()
