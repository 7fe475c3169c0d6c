"""MediaStore: whole or not at all, on a folder and on another file system."""

from __future__ import annotations

import fcntl
import threading
from pathlib import Path
from uuid import uuid4

import pytest
from pydantic import SecretStr

from skald_blocks import MediaStore
from skald_blocks.media_store import MediaStoreError, checked_name


@pytest.fixture(params=["folder", "memory"])
def store(request, tmp_path):
    root = str(tmp_path / "store") if request.param == "folder" else f"memory://{uuid4().hex}/media"
    return MediaStore(root=root)


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "local.bin"
    path.write_bytes(b"content")
    return path


def test_published_objects_are_listed_and_read(store, file):
    url = store.publish(file, "camera/1/a.mp4")
    assert url.endswith("camera/1/a.mp4")
    store.publish(file, "b.mp4")
    assert store.list() == ["b.mp4", "camera/1/a.mp4"]
    assert store.list("camera") == ["camera/1/a.mp4"]
    assert store.list("nothing/here") == []
    with store.open("camera/1/a.mp4") as opened:
        assert opened.read() == b"content"
    with pytest.raises(FileNotFoundError):
        store.open("missing")


def test_fetch_gives_a_local_file(store, file, tmp_path):
    store.publish(file, "x/a.bin")
    assert store.fetch("x/a.bin", tmp_path).read_bytes() == b"content"


def test_remove(store, file):
    store.publish(file, "x/y/a.bin")
    store.remove("x/y/a.bin")
    store.remove("x/y/a.bin")
    assert store.list() == []
    if store.local_root:
        assert not (store.local_root / "x").exists()
        assert store.local_root.exists()


@pytest.mark.parametrize("name", ["", "/etc/x", "../x", "a/../../x", "-x", "a/-x", ".x", "a\\b", "a\nb"])
def test_names_stay_inside(store, file, name):
    with pytest.raises(MediaStoreError, match="is not a name"):
        store.publish(file, name)
    with pytest.raises(MediaStoreError):
        checked_name(name)


def test_a_link_does_not_lead_out(tmp_path, file):
    store = MediaStore(root=str(tmp_path / "store"))
    store.publish(file, "a.bin")
    (tmp_path / "store" / "link.bin").symlink_to(file)
    with pytest.raises(MediaStoreError, match="leads out"):
        store.fetch("link.bin", tmp_path)


def test_scratch_is_moved_not_copied_and_gone_afterwards(tmp_path):
    store = MediaStore(root=str(tmp_path / "store"))
    with store.scratch() as scratch:
        path = scratch / "a.bin"
        path.write_bytes(b"x")
        inode = path.stat().st_ino
        (scratch / "left.bin").write_bytes(b"half")
        store.publish(path, "a.bin")
    assert Path(store.url("a.bin")).stat().st_ino == inode
    assert not scratch.exists()
    assert store.list() == ["a.bin"]


def test_what_a_killed_process_left_is_swept_and_what_is_in_use_is_not(tmp_path):
    store = MediaStore(root=str(tmp_path / "store"))
    with store.scratch() as held:
        (held / "mine").write_bytes(b"x")
        dead = held.parent / "dead"
        dead.mkdir()
        (held.parent / "dead.lock").touch()
        with store.scratch():
            assert not dead.exists()
            assert (held / "mine").exists()


def test_readers_never_see_a_half(tmp_path):
    store = MediaStore(root=str(tmp_path / "store"))
    pages = [bytes([value]) * 300_000 for value in (1, 2)]
    files = []
    for index, page in enumerate(pages):
        files.append(tmp_path / f"{index}")
        files[-1].write_bytes(page)
    store.publish(files[0], "x.bin")
    over, seen = threading.Event(), set()

    def read() -> None:
        while not over.is_set():
            with store.open("x.bin") as opened:
                seen.add(opened.read())

    reader = threading.Thread(target=read)
    reader.start()
    for _ in range(20):
        for file in files:
            store.publish(file, "x.bin")
    over.set()
    reader.join()
    assert seen <= set(pages)


def test_secrets_stay_secret():
    store = MediaStore(root="memory://x", storage_options={"secret": "hunter2"})
    assert "hunter2" not in repr(store)
    assert "hunter2" not in store.model_dump_json()
    assert store.storage_options.get_secret_value() == {"secret": "hunter2"}
    assert SecretStr("x")


def test_default_root_is_in_skald_home(tmp_path, monkeypatch):
    monkeypatch.setenv("SKALD_HOME", str(tmp_path))
    assert MediaStore().local_root == tmp_path / "media"
    with pytest.raises(MediaStoreError, match="relative"):
        _ = MediaStore(root="media").local_root
    assert MediaStore(root="~/x").local_root == Path("~/x").expanduser().resolve()


def test_two_processes_may_begin_at_once(tmp_path):
    store = MediaStore(root=str(tmp_path / "store"))
    with store.scratch() as first, store.scratch() as second:
        assert first != second
        with (first.parent / f"{first.name}.lock").open("r+") as lock, pytest.raises(BlockingIOError):
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
