"""The versions of Prefect that are tested are those that are supported."""

from __future__ import annotations

import tomllib
from pathlib import Path

from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet
from packaging.version import Version

ROOT = Path(__file__).parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]


def pinned(file: str) -> dict[str, Version]:
    pins = [Requirement(line) for line in (ROOT / file).read_text().splitlines() if "==" in line]
    return {pin.name: Version(next(iter(pin.specifier)).version) for pin in pins}


def supported() -> SpecifierSet:
    (found,) = (needed for text in PROJECT["dependencies"] if (needed := Requirement(text)).name == "prefect")
    return found.specifier


def test_the_oldest_that_is_tested_is_the_oldest_that_is_supported() -> None:
    (lowest,) = (bound.version for bound in supported() if bound.operator == ">=")
    assert pinned("constraints-oldest.txt")["prefect"] == Version(lowest)


def test_the_newest_that_is_tested_is_of_the_last_minor_version_that_is_supported() -> None:
    newest = pinned("constraints.txt")["prefect"]
    assert newest in supported()
    assert Version(f"{newest.major}.{newest.minor + 1}") not in supported()


def test_the_oldest_differs_from_the_newest_in_what_it_names_and_in_nothing_else() -> None:
    newest, oldest = pinned("constraints.txt"), pinned("constraints-oldest.txt")
    assert {name for name, version in oldest.items() if newest[name] != version} == oldest.keys()
