from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path

import pytest

from skald_work_pools.node.forked.stamps import (
    Reads,
    kind_of,
    link_of,
    listing,
    modules_in,
    place_of,
    stamp_of,
)


def reads(folder: Path) -> Reads:
    """Of a load that read, listed and looked for a bit of everything in the folder."""
    return Reads(
        places={str(folder): place_of(str(folder))},
        files={str(folder / name): stamp_of(str(folder / name)) for name in ("a.py", "missing.toml")},
        kinds={str(folder / name): kind_of(str(folder / name)) for name in ("sub", "flag")},
        links={str(folder / "link"): link_of(str(folder / "link"))},
        folders={str(folder / "sub"): listing(str(folder / "sub"))},
        searched=[(str(folder), ["a", "optional"], modules_in(str(folder), ["a", "optional"]))],
    )


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = tmp_path / "code"
    (made / "sub").mkdir(parents=True)
    (made / "a.py").write_text("A = 1\n")
    (made / "link").symlink_to("a.py")
    return made


def test_nothing_has_changed_where_nothing_did(folder: Path) -> None:
    before = reads(folder)
    assert before.changed() is None
    assert Reads.from_dict(json.loads(json.dumps(asdict(before)))) == before


def replaced_with_the_same_times(folder: Path) -> None:
    copy = folder.with_name("copy")
    shutil.copytree(folder, copy, symlinks=True)
    for name in ("a.py",):
        status = (folder / name).stat()
        os.utime(copy / name, ns=(status.st_atime_ns, status.st_mtime_ns))
    folder.rename(folder.with_name("old"))
    copy.rename(folder)


def replaced_by_a_link(folder: Path) -> None:
    folder.rename(folder.with_name("release-2"))
    folder.symlink_to("release-2")


CHANGES: dict[str, Callable[[Path], object]] = {
    "edited": lambda folder: (folder / "a.py").write_text("A = 22\n"),
    "removed": lambda folder: (folder / "a.py").unlink(),
    "appeared": lambda folder: (folder / "missing.toml").write_text(""),
    "looked for, now there": lambda folder: (folder / "flag").touch(),
    "folder removed": lambda folder: (folder / "sub").rmdir(),
    "listed folder has more": lambda folder: (folder / "sub" / "data.csv").touch(),
    "link turned": lambda folder: ((folder / "link").unlink(), (folder / "link").symlink_to("sub")),
    "optional module": lambda folder: (folder / "optional.py").touch(),
    "optional package": lambda folder: (folder / "optional").mkdir(),
    "shadowed by a package": lambda folder: (folder / "a").mkdir(),
    "replaced with the same times": replaced_with_the_same_times,
    "replaced by a link to itself": replaced_by_a_link,
}


@pytest.mark.parametrize("change", CHANGES)
def test_whatever_a_load_depended_on_makes_it_stale(folder: Path, change: str) -> None:
    before = reads(folder)
    CHANGES[change](folder)
    assert before.changed() is not None


def test_what_a_load_did_not_look_at_does_not(folder: Path) -> None:
    before = reads(folder)
    (folder / "output-0001.mp4").touch()
    (folder / "frames").mkdir()
    (folder / "__pycache__").mkdir()
    (folder / "sub" / "__pycache__").mkdir()
    assert before.changed() is None
