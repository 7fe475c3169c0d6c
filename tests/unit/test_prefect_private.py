"""The private parts of Prefect that are leaned on still exist, with the shape they had.

When this fails after an upgrade: read the new source, adapt ``skald_work_pools.prefect_private``, then the lists here.
"""

from __future__ import annotations

import ast
import contextlib
import http.server
import importlib
import inspect
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import prefect
import prefect.engine
import prefect.flow_engine as flow_engine
import pytest
from prefect.client.base import ServerType
from prefect.events.clients import PrefectEventsClient
from prefect.events.worker import EventsWorker
from prefect.workers.base import BaseWorker

from skald_work_pools import prefect_private, worker
from skald_work_pools.prefect_private import EVENTS_CLIENT_ATTRIBUTES, PRIVATE, WORKER_ATTRIBUTES, clients
from skald_work_pools.prefect_private.worker import NodeWorker
from tests.services.prefect_server import free_port

ALLOWED = Path(prefect_private.__file__).parent
PACKAGE = ALLOWED.parent
SIGNATURES = {
    "prefect.flow_engine.FlowRunEngine.set_state": ["self", "state", "force"],
    "prefect.flow_engine.AsyncFlowRunEngine.set_state": ["self", "state", "force"],
    "prefect.flow_engine.FlowRunEngine.initialize_run": ["self"],
    "prefect.flow_engine.AsyncFlowRunEngine.initialize_run": ["self"],
    "prefect.flow_engine.FlowRunEngine.setup_run_context": ["self", "client"],
    "prefect.flow_engine.AsyncFlowRunEngine.setup_run_context": ["self", "client"],
    "prefect.flow_engine.BaseFlowRunEngine.setup_flow_run_suspension_request": ["self"],
    "prefect.flow_engine.propose_state": ["client", "state", "flow_run_id", "force"],
    "prefect.flow_engine.propose_state_sync": ["client", "state", "flow_run_id", "force"],
    "prefect.flow_engine._termination_intent": [],
    "prefect._internal.control_listener.get_intent": [],
    "prefect.events.worker.related_resources_from_run_context": ["client", "exclude"],
    "prefect.results._read_server_default_result_storage_block_id": [],
    "prefect.workers.base.BaseWorker._setup_cancellation_observer": ["self"],
}


def find(module: str, name: str) -> Any:
    found: Any = importlib.import_module(module)
    for part in name.split("."):
        found = getattr(found, part)
    return found


@pytest.mark.parametrize(
    ("module", "name"), [(module, name) for module, names in PRIVATE.items() for name in names]
)
def test_a_private_name_is_still_there(module: str, name: str) -> None:
    find(module, name)


@pytest.mark.parametrize(("path", "parameters"), SIGNATURES.items())
def test_it_is_called_as_before(path: str, parameters: list[str]) -> None:
    module = next(known for known in sorted(PRIVATE, key=len, reverse=True) if path.startswith(known + "."))
    assert list(inspect.signature(find(module, path.removeprefix(module + "."))).parameters) == parameters


@pytest.mark.parametrize("engine", [flow_engine.FlowRunEngine, flow_engine.AsyncFlowRunEngine])
def test_the_requests_that_are_answered_from_memory_are_where_they_were(engine: type) -> None:
    initialize, setup = (
        inspect.getsource(getattr(engine, name)) for name in ("initialize_run", "setup_run_context")
    )
    assert initialize.count("self.client.update_flow_run(") == 1
    assert setup.count("client.read_flow_run(") == 1


def test_the_engine_reads_intents_by_the_names_that_are_replaced() -> None:
    assert "return get_intent()" in inspect.getsource(flow_engine._termination_intent)
    assert "get_intent()" in inspect.getsource(prefect.engine.handle_engine_signals)
    source = inspect.getsource(importlib.import_module("prefect.utilities.engine").capture_sigterm)
    assert "control_listener.get_intent()" in source


def test_the_engine_makes_engines_and_proposes_by_the_names_that_are_replaced() -> None:
    for runner, engine in (
        (flow_engine.run_flow_sync, "FlowRunEngine["),
        (flow_engine.run_flow_async, "AsyncFlowRunEngine["),
        (flow_engine.run_generator_flow_sync, "FlowRunEngine["),
        (flow_engine.run_generator_flow_async, "AsyncFlowRunEngine["),
    ):
        assert f"engine = {engine}" in inspect.getsource(runner)
    assert "= propose_state_sync(" in inspect.getsource(flow_engine.FlowRunEngine.set_state)
    assert "= await propose_state(" in inspect.getsource(flow_engine.AsyncFlowRunEngine.set_state)


def test_every_attribute_of_the_worker_that_is_used_is_set_when_it_is_made() -> None:
    source = inspect.getsource(BaseWorker.__init__)
    for name in WORKER_ATTRIBUTES:
        assert f"self.{name}" in source, name


def test_the_events_worker_asks_what_is_related_by_the_name_that_is_replaced() -> None:
    assert "await related_resources_from_run_context(" in inspect.getsource(EventsWorker)


def test_every_attribute_of_the_events_client_that_is_used_is_set_when_it_is_made() -> None:
    source = inspect.getsource(PrefectEventsClient.__init__)
    for name in EVENTS_CLIENT_ATTRIBUTES:
        assert f"self.{name} = " in source, name


def test_every_override_of_a_private_method_of_the_worker_is_listed() -> None:
    overridden = {
        name
        for cls in (NodeWorker, worker.SkaldWorker)
        for name in vars(cls)
        if name.startswith("_") and not name.startswith("__") and callable(getattr(BaseWorker, name, None))
    }
    listed = {name.partition(".")[2] for name in PRIVATE["prefect.workers.base"]}
    assert overridden <= listed, "name it in prefect_private.PRIVATE"


def test_no_other_file_imports_a_private_module() -> None:
    for file in PACKAGE.rglob("*.py"):
        if file.is_relative_to(ALLOWED):
            continue
        for node in ast.walk(ast.parse(file.read_text())):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            if isinstance(node, ast.ImportFrom) and node.module:
                names = [f"{node.module}.{alias.name}" for alias in node.names]
            for name in names:
                private = name.startswith("prefect.") and any(
                    part.startswith("_") for part in name.split(".")
                )
                assert not private, f"{file.name} imports {name}; only prefect_private may"


def test_the_client_still_tells_server_types() -> None:
    assert {kind.name for kind in ServerType} >= {"SERVER", "CLOUD"}


VERSION = f'"{prefect.__version__}"'.encode()


@contextlib.contextmanager
def answering(port: int, status: int = 200) -> Iterator[None]:
    """A server that tells its version, and nothing else."""

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(status)
            self.send_header("Content-Length", str(len(VERSION)))
            self.end_headers()
            self.wfile.write(VERSION)

        def log_message(self, *_: object) -> None:
            """Nobody reads it."""

    server = http.server.ThreadingHTTPServer(("127.0.0.1", port), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield
    finally:
        server.shutdown()
        server.server_close()


WARMING = """
import prefect.context
from skald_work_pools.prefect_private import clients
clients.warm_at_last()
assert prefect.context.SyncClientContext.get() is not None
"""


def warming(port: int) -> subprocess.Popen[bytes]:
    env = {**os.environ, "PREFECT_API_URL": f"http://127.0.0.1:{port}/api", "PREFECT_CLIENT_MAX_RETRIES": "0"}
    return subprocess.Popen([sys.executable, "-c", WARMING], env=env, stderr=subprocess.PIPE)


def test_a_process_that_finds_no_server_waits_for_it() -> None:
    port = free_port()
    process = warming(port)
    try:
        with pytest.raises(subprocess.TimeoutExpired):
            process.wait(4)
        with answering(port):
            assert process.wait(60) == 0, process.stderr
    finally:
        process.kill()
        process.communicate()


def test_a_server_that_refuses_is_not_waited_for() -> None:
    port = free_port()
    with answering(port, status=401):
        process = warming(port)
        _, said = process.communicate(timeout=60)
    assert process.returncode == 1
    assert b"401" in said


def test_the_call_after_an_outage_is_the_last_that_is_repeated() -> None:
    calls: list[int] = []

    class Client:
        def update(self, number: int) -> int:
            calls.append(number)
            if len(calls) < 3:
                raise httpx.ConnectError("away")
            return number

    client = Client()
    clients.insist_once(client, "update")
    assert client.update(7) == 7
    assert calls == [7, 7, 7]
    calls.clear()
    with pytest.raises(httpx.ConnectError):
        client.update(8)
