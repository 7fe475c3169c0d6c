"""Settings from the environment, .env, files and flags; a wrong value names its field and origin."""

from __future__ import annotations

import json
import os
import tomllib
from pathlib import Path

import pytest
import yaml

from skald_bridge.domain.errors import InvalidInput, NotFound
from skald_bridge.settings import ControllerMode, Environment, LogFormat, Mode, Settings, Strategy
from skald_bridge.settings.file import environment_names, load, read
from skald_bridge.settings.template import template


@pytest.fixture(autouse=True)
def clean(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    ours = {name for field in Settings.model_fields for name in environment_names(field)}
    for name in ours | {"SKALD_CONFIG"}:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.chdir(tmp_path)


def write(tmp_path: Path, text: str, name: str = "skald.yaml") -> Path:
    path = tmp_path / name
    path.write_text(text)
    return path


def test_skalds_own_variables_are_accepted_as_they_are(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {
        "SKALD_ID": "edge-7",
        "SKALD_ENV": "production",
        "SKALD_MODE": "edge",
        "YAML_FILE": "~/all_workers.yml",
        "LOG_LEVEL": "success",
        "LOG_PATH": "logs",
        "LOG_RETENTION": "12 hours",
        "LOG_ROTATION_MB": "20",
        "LOG_SPLIT_WITH_WORKER_ID": "yes",
        "KAFKA_HOST": "kafka",
        "KAFKA_PORT": "9093",
        "KAFKA_PASSWORD": "k-secret",
        "REDIS_HOST": "",
        "MONGO_HOST": "mongodb://root:m-secret@mongo:27017/",
        "SYSTEM_CONTROLLER_MODE": "MONITOR",
        "DISPATCHER_STRATEGY": "RANDOM",
        "TASK_WORKER_RETRY": "2",
    }.items():
        monkeypatch.setenv(name, value)
    found = load()
    assert (found.skald_id, found.skald_env, found.skald_mode) == (
        "edge-7",
        Environment.PRODUCTION,
        Mode.EDGE,
    )
    assert found.yaml_file == Path("~/all_workers.yml").expanduser()
    assert (found.log_level, found.log_retention, found.log_rotation_mb) == ("SUCCESS", 0.5, 20)
    assert found.log_split_with_worker_id is True
    assert (found.kafka_host, found.kafka_port, found.redis_host) == ("kafka", 9093, None)
    assert found.kafka_password is not None
    assert found.kafka_password.get_secret_value() == "k-secret"
    assert found.system_controller_mode is ControllerMode.MONITOR
    assert found.dispatcher_strategy is Strategy.RANDOM
    assert found.task_worker_retry == 2
    assert "secret" not in repr(found)


def test_every_field_is_also_a_skald_variable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SKALD_KAFKA_HOST", "k")
    monkeypatch.setenv("SKALD_TAGS", "cuda-12, rtsp-lan")
    monkeypatch.setenv("SKALD_LOG_FORMAT", "JSON")
    found = load()
    assert (found.kafka_host, found.tags, found.log_format) == ("k", ("cuda-12", "rtsp-lan"), LogFormat.JSON)


def test_flags_win_over_the_environment_that_over_dotenv_that_over_the_file(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    path = write(tmp_path, "pool: file\nlimit: 1\ngrace: 1\nspares: 1\n")
    write(tmp_path, "SKALD_POOL=dotenv\nSKALD_LIMIT=2\nSKALD_GRACE=2\nSOMEBODY_ELSES=1\n", ".env")
    monkeypatch.setenv("SKALD_POOL", "environment")
    monkeypatch.setenv("SKALD_LIMIT", "3")
    found = load(path, {"pool": "flag", "limit": None})
    assert (found.pool, found.limit, found.grace, found.spares) == ("flag", 3, 2, 1)


def test_an_empty_variable_unsets_what_the_file_sets(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("KAFKA_HOST", "")
    monkeypatch.setenv("KAFKA_PORT", "")
    found = load(write(tmp_path, "kafka: {host: there, port: 1}"))
    assert (found.kafka_host, found.kafka_port) == (None, 9092)


@pytest.mark.parametrize("suffix", ["yaml", "yml", "json", "toml"])
def test_files_of_every_format_flat_or_in_sections(tmp_path: Path, suffix: str) -> None:
    toml = 'pool = "gpu"\nKAFKA_PORT = 1\n[redis]\nhost = "r"\nport = 2\n'
    data = {"pool": "gpu", "KAFKA_PORT": 1, "redis": {"host": "r", "port": 2}}
    text = {"toml": toml, "json": json.dumps(data)}.get(suffix, yaml.safe_dump(data))
    found = load(write(tmp_path, text, f"skald.{suffix}"))
    assert (found.pool, found.kafka_port, found.redis_host, found.redis_port) == ("gpu", 1, "r", 2)


def test_the_file_named_by_skald_config_is_read(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("SKALD_CONFIG", str(write(tmp_path, "pool: named")))
    assert load().pool == "named"


@pytest.mark.parametrize(
    ("node_type", "mode"),
    [("SINGLE_PROCESS", Mode.SINGLE_PROCESS), ("WORKER", Mode.NODE), ("SCHEDULER", Mode.SCHEDULER)],
)
def test_a_sylklabs_file_is_understood(tmp_path: Path, node_type: str, mode: Mode) -> None:
    data = {
        "node_type": node_type,
        "num_workers": 4,
        "graceful_timeout": 7,
        "load_balancer": "ROUND_ROBIN",
        "heartbeat_interval": 5,
        "data_store": {"type": "redis", "host": "127.0.0.1:6380"},
    }
    for name, text in (("a.json", json.dumps(data)), ("a.yaml", yaml.safe_dump(data))):
        found = load(write(tmp_path, text, name))
        assert (found.skald_mode, found.limit, found.grace) == (mode, 4, 7)
        assert (found.dispatcher_strategy, found.redis_sync_period) == (Strategy.ROUND_ROBIN, 5)
        assert (found.redis_host, found.redis_port) == ("127.0.0.1", 6380)


@pytest.mark.parametrize(
    ("store", "fields"),
    [
        ({"type": "mongodb", "host": "db:27017"}, {"mongo_host": "mongodb://db:27017/"}),
        ({"type": "Mongo", "host": "mongodb://u@db/"}, {"mongo_host": "mongodb://u@db/"}),
        ({"type": "REDIS", "host": "redis://r/"}, {"redis_host": "r"}),
        ({"type": "memory"}, {}),
    ],
)
def test_sylklabs_data_stores(tmp_path: Path, store: dict[str, str], fields: dict[str, str]) -> None:
    assert read(write(tmp_path, json.dumps({"data_store": store}), "a.json")) == fields


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("pooll: gpu", "pooll is no setting"),
        ("kafka: {hots: x}", "kafka_hots is no setting"),
        ("node_type: BOSS", "node_type is 'BOSS'"),
        ("data_store: {type: oracle, host: x}", "unknown type 'oracle'"),
        ("data_store: {type: redis}", "needs a host"),
        ("limit: 1\nnum_workers: 2", "sets limit twice"),
        ("- a\n- b", "must hold keys and values"),
        ("a: [", "is not yaml"),
    ],
)
def test_a_wrong_file_is_an_error_that_names_the_key(tmp_path: Path, text: str, named: str) -> None:
    path = write(tmp_path, text)
    with pytest.raises(InvalidInput) as caught:
        load(path)
    assert named in caught.value.message
    assert str(path) in caught.value.message


def test_a_misspelt_key_gets_the_nearest_one_as_remedy(tmp_path: Path) -> None:
    with pytest.raises(InvalidInput) as caught:
        load(write(tmp_path, "log_leval: INFO"))
    assert caught.value.remedy is not None
    assert "log_level" in caught.value.remedy


@pytest.mark.parametrize(
    ("name", "value", "field", "says"),
    [
        ("KAFKA_PORT", "abc", "kafka_port", "valid integer"),
        ("SKALD_SERVER_PORT", "70000", "server_port", "65535"),
        ("LOG_LEVEL", "loud", "log_level", "SUCCESS"),
        ("LOG_RETENTION", "soon", "log_retention", "3 days"),
        ("SKALD_RETENTION_DAYS", "-1", "retention_days", "12 hours"),
        ("SKALD_RETENTION_DAYS", "1000000", "retention_days", "36500"),
        ("LOG_SPLIT_WITH_WORKER_ID", "perhaps", "log_split_with_worker_id", "boolean"),
        ("SKALD_MODE", "boss", "skald_mode", "single_process"),
        ("DISPATCHER_STRATEGY", "BEST", "dispatcher_strategy", "ROUND_ROBIN"),
        ("SKALD_LIMIT", "0", "limit", "greater than or equal to 1"),
    ],
)
def test_a_wrong_variable_is_named(
    monkeypatch: pytest.MonkeyPatch, name: str, value: str, field: str, says: str
) -> None:
    monkeypatch.setenv(name, value)
    with pytest.raises(InvalidInput) as caught:
        load()
    assert f"{field} (from the environment, {name})" in caught.value.message
    assert says in caught.value.message
    assert caught.value.remedy is not None


def test_the_origin_of_a_wrong_value_is_told_for_every_layer(tmp_path: Path) -> None:
    path = write(tmp_path, "kafka_port: x")
    write(tmp_path, "REDIS_PORT=y\n", ".env")
    with pytest.raises(InvalidInput) as caught:
        load(path, {"server_port": "z"})
    assert f"kafka_port (from {path})" in caught.value.message
    assert f"redis_port (from {tmp_path / '.env'})" in caught.value.message
    assert "server_port (from the command line)" in caught.value.message


def test_a_wrong_secret_is_not_shown(tmp_path: Path) -> None:
    with pytest.raises(InvalidInput) as caught:
        load(write(tmp_path, "kafka_password: [hunter2]"))
    assert "hunter2" not in str(caught.value)


def test_missing_and_nameless_files(tmp_path: Path) -> None:
    with pytest.raises(NotFound, match="no configuration file"):
        load(tmp_path / "none.yaml")
    with pytest.raises(InvalidInput, match="says no format"):
        load(write(tmp_path, "", "config"))


@pytest.mark.parametrize("suffix", [".yaml", ".toml"])
def test_the_template_names_every_field_and_loads_back_as_the_defaults(tmp_path: Path, suffix: str) -> None:
    text = template(suffix)
    loaded = load(write(tmp_path, text, f"skald{suffix}"))
    assert loaded == Settings()
    for name, field in Settings.model_fields.items():
        assert name in text
        assert str(field.description) in text


@pytest.mark.parametrize("suffix", [".yaml", ".toml"])
def test_the_template_loads_with_every_line_uncommented(tmp_path: Path, suffix: str) -> None:
    fields = tuple(Settings.model_fields)
    lines = [
        line.removeprefix("# ")
        for line in template(suffix).splitlines()
        if line.removeprefix("# ").startswith(
            tuple(f"{name}{mark}" for name in fields for mark in (":", " ="))
        )
    ]
    assert len(lines) == len(fields)
    text = "\n".join(lines)
    assert set(yaml.safe_load(text) if suffix == ".yaml" else tomllib.loads(text)) == set(fields)
    load(write(tmp_path, text, f"all{suffix}"))


def test_a_template_needs_a_format_with_comments() -> None:
    with pytest.raises(InvalidInput, match=r"cannot be a \.json file"):
        template(".json")


def test_settings_alone_read_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SKALD_POOL", "gpu")
    assert Settings().pool == "gpu"
    assert "SKALD_POOL" in os.environ
