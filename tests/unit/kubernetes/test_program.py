"""Building the control plane: what a try that took too long has made is there for the next one."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.services.kubernetes import program

GO = """#!/bin/sh
mkdir -p "$GOCACHE" "$GOMODCACHE"
if [ -e "$GOCACHE/object" ]; then
  while [ "$1" != -o ]; do shift; done
  exec touch "$2"
fi
touch "$GOCACHE/object"
exec sleep 60
"""


def test_a_build_that_did_not_end_is_gone_on_with(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    go = tmp_path / "bin" / "go"
    go.parent.mkdir()
    go.write_text(GO)
    go.chmod(0o755)
    monkeypatch.setenv("PATH", str(go.parent), prepend=":")
    for name in ("KUBERNETES_GOMODCACHE", "KUBERNETES_GOCACHE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(program, "CACHE", tmp_path)
    monkeypatch.setattr(program, "_SECONDS", 2)
    made = tmp_path / "made"
    made.mkdir()
    with pytest.raises((pytest.skip.Exception, pytest.fail.Exception), match="not built after 2 s"):
        program._build(made)
    assert not (made / "kubernetes").exists()
    program._build(made)
    assert (made / "kubernetes").exists()
    assert not (tmp_path / "kubernetes-go").exists()
