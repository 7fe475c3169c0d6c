"""The variables of the Deployment in Skalds' guide, empty ones too, are settings of ours as they stand."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from skald_bridge.settings import Mode, Settings
from skald_bridge.settings.file import environment_names, load
from tests.services.kubernetes import guide


def test_the_guides_environment_is_accepted_as_it_is(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in {name for field in Settings.model_fields for name in environment_names(field)}:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.chdir(tmp_path)
    (container,) = yaml.safe_load(guide.DEPLOYMENT)["spec"]["template"]["spec"]["containers"]
    given = {each["name"]: each["value"] for each in container["env"]}
    assert {name for name, value in given.items() if not value} == {"KAFKA_HOST", "REDIS_HOST"}
    for name, value in given.items():
        monkeypatch.setenv(name, value)
    found = load(None)
    assert (found.skald_mode, found.skald_id) == (Mode.SINGLE_PROCESS, "worker-sp-task-alpha")
    assert (found.yaml_file, found.log_level) == (Path("/config/all_workers.yml"), "INFO")
    assert (found.kafka_host, found.redis_host) == (None, None)
    assert found.mongo_host is not None
    assert found.mongo_host.get_secret_value() == "mongodb://username:password@mongo:27017/"
