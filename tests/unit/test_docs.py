"""What the documents name must exist."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from typer.testing import CliRunner

from skald_bridge.cli.app import app

ROOT = Path(__file__).parents[2]
DOCUMENTS = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
TEXT = {document: document.read_text() for document in DOCUMENTS}


def named(pattern: str) -> list[tuple[str, str]]:
    return sorted(
        {(document.name, hit) for document, text in TEXT.items() for hit in re.findall(pattern, text)}
    )


@pytest.mark.parametrize(("document", "path"), named(r"`([\w.]+/[\w./-]*)`"))
def test_every_path_named_exists(document, path):
    rooms = (ROOT, ROOT / "skald_bridge", ROOT / "work_pools" / "skald_work_pools")
    assert any((room / path).exists() for room in rooms), f"{document} names {path}"


@pytest.mark.parametrize(("document", "link"), named(r"\]\((?!http)([^)#]+)\)"))
def test_every_link_leads_somewhere(document, link):
    at = next(d for d in DOCUMENTS if d.name == document)
    assert (at.parent / link).exists(), f"{document} links to {link}"


@pytest.mark.parametrize(("document", "target"), named(r"\bmake ([a-z]+)"))
def test_every_make_target_exists(document, target):
    assert re.search(rf"^{target}:", (ROOT / "Makefile").read_text(), re.MULTILINE), (
        f"{document}: make {target}"
    )


@pytest.mark.parametrize(("document", "command"), named(r"(?:^|`|\$ )skald ([a-z]+)\b"))
def test_every_command_exists(document, command):
    result = CliRunner().invoke(app, [command, "--help"])
    assert result.exit_code == 0, f"{document}: skald {command}: {result.output}"
