"""hft.stores: entries appear whole, stay within a budget, and survive writers that race, die or find the disk full."""

from __future__ import annotations

import errno
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from hft.checksums import write_checksums
from hft.errors import StorageError
from hft.stores import StoreFolder, digest, text_keys
from hft.stores import folder as folder_module
from waiting import PATIENCE, wait_until

KILOBYTE = 1000
A, B = digest("a"), digest("b")


pytestmark = pytest.mark.usefixtures("stores_of_a_new_process")


def put(store: StoreFolder, kind: str, key: str, size: int = KILOBYTE, last_use: float | None = None) -> Path:
    """An entry of so many bytes in all, used at a time; given a time, it was another process that made it."""
    with store.publish(kind, digest(key)) as folder:
        (folder / "content").write_bytes(b"x")
        write_checksums(folder)
        beside = (folder / "checksums.json").stat().st_size
        (folder / "content").write_bytes(b"x" * (size - beside))
    entry = store.entry(kind, digest(key))
    if last_use is not None:
        os.utime(entry, (last_use, last_use))
        folder_module._touched.clear()
    return entry


def keys(store: StoreFolder) -> list[str]:
    """Of all entries that `put` made, the least lately used first."""
    names = {digest(name): name for name in ("a", "old", "older", "new", "idle", "used")}
    return [names[entry.key] for entry in store.entries()]


def all_names(root: Path) -> list[str]:
    return sorted(path.relative_to(root).as_posix() for path in root.rglob("*") if path.name != "CACHEDIR.TAG")


def in_another_process(code: str, *arguments: object) -> subprocess.Popen[str]:
    command = [sys.executable, "-c", code, *map(str, arguments)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def test_an_entry_is_seen_when_it_is_whole_and_not_before(tmp_path: Path) -> None:
    store = StoreFolder(tmp_path, None)
    with store.publish("tokens", "a") as folder:
        (folder / "content").write_text("half")
        assert not store.entry("tokens", "a").exists()
        assert store.entries() == []
        (folder / "content").write_text("whole")
    assert (store.entry("tokens", "a") / "content").read_text() == "whole"
    assert all_names(tmp_path) == ["tokens", "tokens/a", "tokens/a/checksums.json", "tokens/a/content"]


def test_to_make_a_store_touches_no_disk(tmp_path: Path) -> None:
    store = StoreFolder(tmp_path / "stores", None)
    assert (store.entries(), store.used(), store.files("tokens", "a", ".arrow")) == ([], 0, [])
    assert not store.root.exists()


@pytest.mark.parametrize("error", [ValueError("mine"), KeyboardInterrupt()])
def test_an_error_in_the_block_leaves_nothing_and_passes_through(tmp_path: Path, error: BaseException) -> None:
    store = StoreFolder(tmp_path, None)
    with pytest.raises(type(error)), store.publish("k", "a"):
        raise error
    with pytest.raises(type(error)), store.publish_file("k", "b", ".bin"):
        raise error
    assert all_names(tmp_path) == ["k"]


def test_files_join_an_entry_one_by_one(tmp_path: Path) -> None:
    store = StoreFolder(tmp_path, None)
    for content in ("first", "second"):
        with store.publish_file("tokens", "a", ".arrow") as path:
            path.write_text(content)
            assert content not in [file.read_text() for file in store.files("tokens", "a", ".arrow")]
        time.sleep(0.01)
    assert [file.read_text() for file in store.files("tokens", "a", ".arrow")] == ["first", "second"]
    assert store.files("tokens", "a", ".other") == []


PUBLISH_AT_ONCE = """
import sys, time
from pathlib import Path
from hft.stores import StoreFolder
root, name, ready, go = sys.argv[1:]
store = StoreFolder(root, None)
with store.publish("k", "same") as folder:
    (folder / "content").write_text(name)
    Path(ready).touch()
    while not Path(go).exists(): time.sleep(0.001)
with store.publish_file("k", "files", ".txt") as path:
    path.write_text(name)
"""


def test_of_two_processes_that_publish_one_entry_at_once_one_wins_and_both_go_on(tmp_path: Path) -> None:
    root, go = tmp_path / "stores", tmp_path / "go"
    writers = {name: in_another_process(PUBLISH_AT_ONCE, root, name, tmp_path / name, go) for name in ("one", "two")}
    for name in writers:
        wait_until((tmp_path / name).exists, name)
    go.touch()
    for writer in writers.values():
        assert writer.wait(PATIENCE) == 0, writer.stderr
    store = StoreFolder(root, None)
    assert (store.entry("k", "same") / "content").read_text() in writers
    assert sorted(file.read_text() for file in store.files("k", "files", ".txt")) == ["one", "two"]
    assert not [name for name in all_names(root) if name.endswith(".partial")]


DIE_WHILE_WRITING = """
import sys, time
from pathlib import Path
from hft.stores import StoreFolder
root, ready = sys.argv[1:]
store = StoreFolder(root, None)
with store.publish("k", "a") as folder, store.publish_file("k", "b", ".bin") as path:
    (folder / "content").write_text("half")
    path.write_text("half")
    Path(ready).touch()
    time.sleep(600)
"""


def test_what_a_killed_process_left_is_no_entry_and_is_swept(tmp_path: Path) -> None:
    root, ready = tmp_path / "stores", tmp_path / "ready"
    writer = in_another_process(DIE_WHILE_WRITING, root, ready)
    wait_until(ready.exists, "half an entry")
    store = StoreFolder(root, None)
    assert store.make_room(1)
    living = all_names(root)
    assert len([name for name in living if name.endswith(".partial")]) == 2, "those of a living process stay"
    writer.send_signal(signal.SIGKILL)
    writer.wait()
    assert store.entries() == []
    assert not store.entry("k", "a").exists()
    assert store.files("k", "b", ".bin") == []
    assert store.make_room(1)
    assert all_names(root) == ["k"]


def test_room_is_made_by_dropping_what_was_used_least_lately(tmp_path: Path) -> None:
    store = StoreFolder(tmp_path, 3500)
    put(store, "tokens", "old", last_use=100)
    put(store, "activations", "older", last_use=50)
    put(store, "tokens", "new", last_use=200)
    assert store.make_room(500)
    assert keys(store) == ["older", "old", "new"]
    assert store.make_room(1000)
    assert keys(store) == ["old", "new"]
    store.touch(store.entry("tokens", digest("old")) / "content")
    folder_module._touched.clear()
    assert store.make_room(2000)
    assert keys(store) == ["old"]


def test_what_this_process_uses_is_never_dropped_and_nothing_goes_for_what_cannot_fit(tmp_path: Path) -> None:
    store = StoreFolder(tmp_path, 2500)
    put(store, "k", "idle", last_use=100)
    put(store, "k", "used")
    assert not store.make_room(2000)
    assert keys(store) == ["idle", "used"]
    assert store.make_room(1500)
    assert keys(store) == ["used"]


def test_no_room_is_made_for_more_than_the_disk_has_free(tmp_path: Path) -> None:
    store = StoreFolder(tmp_path, None)
    put(store, "k", "a", last_use=100)
    assert store.make_room(KILOBYTE)
    assert not store.make_room(1 << 60)
    assert len(store.entries()) == 1


def test_a_full_disk_is_a_storage_error_that_names_the_keys_to_change(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(descriptor: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", refuse)
    store = StoreFolder(tmp_path, None)
    with pytest.raises(StorageError, match=rf"k/{A}: cannot be kept: No space left.*stores\.folder=.*stores=none"):
        put(store, "k", "a")
    with pytest.raises(StorageError, match="No space left"), store.publish_file("k", "b", ".bin") as path:
        path.write_bytes(b"x")
    assert all_names(tmp_path) == ["k"]


def test_a_file_that_is_not_whole_is_dropped_with_one_line(tmp_path: Path) -> None:
    said: list[str] = []
    store = StoreFolder(tmp_path, None, said.append)
    with store.publish_file("k", "a", ".bin") as path:
        path.write_bytes(b"x")
    (file,) = store.files("k", "a", ".bin")
    store.drop(file, "is cut")
    store.drop(file, "is cut")
    assert said == [f"{file}: is cut; it is left out and made again."]
    assert store.files("k", "a", ".bin") == []
    assert store.entry("k", "a").is_dir()
    store.drop(store.entry("k", "a"), "is empty")
    assert not store.entry("k", "a").exists()


def test_a_kind_is_cleared_alone(tmp_path: Path) -> None:
    store = StoreFolder(tmp_path, None)
    put(store, "tokens", "a")
    put(store, "data", "a", size=300)
    assert store.clear("tokens") == KILOBYTE
    assert [(entry.kind, entry.size) for entry in store.entries()] == [("data", 300)]
    assert store.clear() == 300
    assert store.used() == 0


def test_what_hft_did_not_make_is_never_counted_removed_or_mixed_with_its_own(tmp_path: Path) -> None:
    mine = tmp_path / "data" / "project" / "work.txt"
    mine.parent.mkdir(parents=True)
    mine.write_text("years of work")
    store = StoreFolder(tmp_path, 10)
    assert (store.entries(), store.used()) == ([], 0)
    assert not store.make_room(100)
    assert store.clear() == 0
    with pytest.raises(StorageError, match="holds files that are not hft's"):
        put(store, "data", "a")
    put(store, "tokens", "a", size=500)
    added = tmp_path / "tokens" / "my notes" / "work.txt"
    added.parent.mkdir()
    added.write_text("more work")
    assert [entry.path for entry in store.entries()] == [store.entry("tokens", A)]
    assert store.clear() == 500
    assert (mine.read_text(), added.read_text()) == ("years of work", "more work")


def test_a_cache_of_another_program_is_not_hfts_to_remove(tmp_path: Path) -> None:
    tag = "Signature: 8a477f597d28d172789f06886806bc55\n# This file is a cache directory tag of another program.\n"
    for kind in ("data", "tokens"):
        (tmp_path / kind / A).mkdir(parents=True)
        (tmp_path / kind / A / "content").write_text("theirs")
        (tmp_path / kind / "CACHEDIR.TAG").write_text(tag)
    store = StoreFolder(tmp_path, 0)
    assert not store.make_room(1)
    assert (store.entries(), store.used(), store.clear()) == ([], 0, 0)
    with pytest.raises(StorageError, match="holds files that are not hft's"):
        put(store, "data", "b")
    assert (tmp_path / "data" / A / "content").read_text() == "theirs"


@pytest.mark.parametrize("joined", [False, True])
def test_each_flipped_bit_drops_an_entry_with_a_line_and_never_gives_other_content(
    tmp_path: Path, joined: bool
) -> None:
    said: list[str] = []
    store = StoreFolder(tmp_path, None, said.append)

    def made() -> list[Path]:
        if joined:
            with store.publish_file("k", A, ".bin") as path:
                path.write_bytes(b"content")
            return store.files("k", A, ".bin")
        with store.publish("k", A) as folder:
            (folder / "content").write_bytes(b"content")
        return sorted(store.entry("k", A).iterdir())

    def contents() -> list[bytes]:
        if joined:
            return [path.read_bytes() for path in store.files("k", A, ".bin")]
        entry = store.published("k", A)
        return [] if entry is None else [(entry / "content").read_bytes()]

    for place in range(20):
        for name in [path.name for path in made()]:
            (path,) = [path for path in made() if path.name == name or joined][:1]
            content = path.read_bytes()
            path.write_bytes(
                content[: place % len(content)]
                + bytes([content[place % len(content)] ^ 1 << place % 8])
                + content[place % len(content) + 1 :]
            )
            assert contents() in ([], [b"content"])
            if not contents():
                assert said[-1].endswith("; it is left out and made again.")
            store.clear()


def test_what_an_earlier_version_kept_without_a_checksum_is_made_again(tmp_path: Path) -> None:
    said: list[str] = []
    store = StoreFolder(tmp_path, None, said.append)
    put(store, "k", "a")
    (store.entry("k", A) / "checksums.json").unlink()
    assert store.published("k", A) is None
    with store.publish_file("k", B, ".bin") as path:
        path.write_bytes(b"x")
    (file,) = store.files("k", B, ".bin")
    file.rename(file.with_name("1234.bin"))
    assert store.files("k", B, ".bin") == []
    assert len(said) == 2
    assert all("kept by an earlier version, without a checksum" in line for line in said)


@pytest.mark.parametrize("name", ["", "..", ".hidden", "a/b", "a b"])
def test_a_key_is_a_simple_name(tmp_path: Path, name: str) -> None:
    with pytest.raises(ValueError, match="no name of a kind or a key"):
        StoreFolder(tmp_path, None).entry("k", name)


def test_keys_of_texts_are_blake2b_of_their_bytes_with_the_prompt() -> None:
    from hashlib import blake2b

    keys = text_keys(["a", "ü", "", "a", "\ud800"])
    assert keys.dtype == np.uint64
    assert keys.shape == (5, 2)
    assert keys[1].tobytes() == blake2b("ü".encode(), digest_size=16).digest()
    assert len(np.unique(keys, axis=0)) == 4
    assert np.array_equal(text_keys(["query: a"]), text_keys(["a"], prompt="query: "))
    assert text_keys([]).shape == (0, 2)


def test_a_digest_tells_its_parts_apart() -> None:
    assert len({digest("ab", "c"), digest("a", "bc"), digest("abc"), digest("abc", "")}) == 4
    assert digest("a", b"b") == digest("a", "b")
    assert len(digest("a")) == 32


def test_a_folder_that_may_not_be_looked_into_is_nobodys_kind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refused(path: Path) -> bool:
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr(Path, "is_file", refused)
    (tmp_path / "data").mkdir()
    assert StoreFolder(tmp_path, None).entries() == []
