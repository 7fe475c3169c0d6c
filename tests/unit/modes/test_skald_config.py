from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from skald_bridge.domain.errors import InvalidInput
from skald_bridge.settings import Mode
from skald_bridge.skalds import Skald, SkaldConfig, Skalds
from tests.unit.modes.workers_of_a_user import MyWorker, sleep_a_while


@pytest.fixture(autouse=True)
def in_an_empty_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for name in (
        "SKALD_MODE",
        "YAML_FILE",
        "SKALD_ID",
        "LOG_LEVEL",
        "KAFKA_HOST",
        "REDIS_HOST",
        "MONGO_HOST",
    ):
        monkeypatch.delenv(name, raising=False)


def test_the_documents_arguments_are_taken() -> None:
    config = SkaldConfig(
        skald_mode="edge",
        yaml_file="all_workers.yml",
        redis_host="localhost",
        kafka_host="127.0.0.1",
        mongo_host="mongodb://root:root@localhost:27017/",
    )
    assert config.skald_mode is Mode.EDGE
    assert (config.yaml_file, config.redis_host, config.kafka_host) == (
        Path("all_workers.yml"),
        "localhost",
        "127.0.0.1",
    )
    assert config.mongo_host.get_secret_value().endswith("@localhost:27017/")
    assert "root" not in str(config.dict()["mongo_host"])
    assert config.dict()["redis_port"] == 6379


def test_the_documents_variables_alone_do(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {
        "SKALD_MODE": "single_process",
        "SKALD_ID": "worker-sp-task-alpha",
        "YAML_FILE": "/config/all_workers.yml",
        "LOG_LEVEL": "INFO",
        "KAFKA_HOST": "",
        "REDIS_HOST": "",
        "MONGO_HOST": "mongodb://username:password@mongo:27017/",
    }.items():
        monkeypatch.setenv(name, value)
    config = SkaldConfig()
    assert config.skald_mode is Mode.SINGLE_PROCESS
    assert (config.skald_id, config.kafka_host, config.redis_host) == ("worker-sp-task-alpha", None, None)
    assert config.yaml_file == Path("/config/all_workers.yml")


def test_arguments_win_over_variables(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SKALD_MODE", "node")
    assert SkaldConfig(skald_mode="edge").skald_mode is Mode.EDGE


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"skald_mode": "edgy"}, r"skald_mode \(from SkaldConfig\)"),
        ({"redis_port": "many"}, r"redis_port \(from SkaldConfig\)"),
        ({"log_level": "LOUD"}, r"log_level \(from SkaldConfig\)"),
        ({"colour": "red"}, "colour"),
    ],
)
def test_a_wrong_argument_is_named(given: dict[str, Any], said: str) -> None:
    with pytest.raises(InvalidInput, match=said):
        SkaldConfig(**given)


@pytest.mark.parametrize(
    ("name", "value"), [("SKALD_MODE", "edgy"), ("KAFKA_PORT", "x"), ("LOG_LEVEL", "LOUD")]
)
def test_a_wrong_variable_is_named(name: str, value: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(name, value)
    with pytest.raises(InvalidInput, match=f"from the environment, {name}"):
        SkaldConfig()


def test_registering_chains_and_takes_both_kinds() -> None:
    app = Skalds(SkaldConfig(skald_mode="node"))
    assert app.register_task_worker(MyWorker).register_task_worker(sleep_a_while) is app
    assert Skald is Skalds


def test_bad_input_ends_the_process_with_its_exit_code(caplog: pytest.LogCaptureFixture) -> None:
    app = Skalds(SkaldConfig(skald_mode="edge", yaml_file="gone.yml"))
    with pytest.raises(SystemExit) as ended:
        app.run()
    assert ended.value.code == 3
