from __future__ import annotations

from pathlib import Path

from skald_work_pools.node.processes.stems import Stems, settings_files


def test_prefect_s_settings_in_a_folder_are_found_and_others_are_not(tmp_path: Path) -> None:
    assert settings_files(str(tmp_path)) == ()
    (tmp_path / "pyproject.toml").write_text("[tool.ruff]\n")
    assert settings_files(str(tmp_path)) == ()
    (tmp_path / "pyproject.toml").write_text("[tool.prefect.flows]\ndefault_retries = 3\n")
    (tmp_path / ".env").write_text("PREFECT_LOGGING_LEVEL=ERROR\n")
    found = settings_files(str(tmp_path))
    assert [Path(path).name for path, _ in found] == [".env", "pyproject.toml"]
    (tmp_path / ".env").write_text("PREFECT_LOGGING_LEVEL=WARNING\n")
    assert settings_files(str(tmp_path)) != found, "what they say now is another key"
    assert settings_files(str(tmp_path / "missing")) == ()


def test_what_an_interpreter_reads_as_it_starts_needs_one_of_its_own() -> None:
    stems = Stems()
    node = {"PATH": "/bin", "GREETING": "hello"}
    for name in ("PYTHONHASHSEED", "LD_PRELOAD", "TZ", "LC_ALL", "LANG", "PREFECT_LOGGING_LEVEL", "HOME"):
        assert not stems.serve_both(node, {**node, name: "x"}), name
    for name in ("GREETING", "PREFECT__FLOW_RUN_ID", "CUDA_VISIBLE_DEVICES", "MY_TOKEN"):
        assert stems.serve_both(node, {**node, name: "x"}), name
