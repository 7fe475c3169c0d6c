"""What a command knows of Prefect's settings without importing it."""

from __future__ import annotations

from pathlib import Path

import pytest

from skald_bridge.cli.connect import _prefect_settings


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PREFECT_HOME", str(tmp_path))
    for name in ("PREFECT_PROFILE", "PREFECT_PROFILES_PATH", "PREFECT_API_KEY", "PREFECT_API_AUTH_STRING"):
        monkeypatch.delenv(name, raising=False)
    return tmp_path


def test_the_environment_wins_over_dotenv_over_the_profile(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    profile = "\n".join(f'PREFECT_API_{name} = "profile"' for name in ("KEY", "AUTH_STRING", "SSL_CERT_FILE"))
    (folder / "profiles.toml").write_text(f'active = "a"\n[profiles.a]\n{profile}\n')
    (folder / ".env").write_text("prefect_api_auth_string=dotenv\nPREFECT_API_KEY=dotenv\n")
    monkeypatch.setenv("prefect_api_key", "environment")
    found = _prefect_settings()
    assert found is not None
    assert [found[f"PREFECT_API_{name}"] for name in ("KEY", "AUTH_STRING", "SSL_CERT_FILE")] == [
        "environment", "dotenv", "profile",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("name", "text", "known"),
    [
        ("pyproject.toml", "[tool.ruff]\n", True),
        ("pyproject.toml", "[tool.prefect.api]\nkey = 'x'\n", False),
        ("prefect.toml", "", False),
    ],
)
def test_files_that_only_prefect_reads(folder: Path, name: str, text: str, known: bool) -> None:
    (folder / name).write_text(text)
    assert (_prefect_settings() is not None) == known
