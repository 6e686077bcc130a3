"""hft.files: a reader sees the old content or the new one, and a full disk is one clear message."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from hft.errors import StorageError
from hft.files import atomic_folder, atomic_write, sha256_file, sha256_folder, storage_errors
from waiting import wait_until


def write_file(path: Path, content: bytes) -> None:
    with atomic_write(path, "wb") as file:
        file.write(content)


def write_folder(path: Path, content: bytes, name: str = "weights") -> None:
    with atomic_folder(path) as folder:
        (folder / "sub").mkdir()
        (folder / "sub" / name).write_bytes(content)


def names(folder: Path) -> list[str]:
    return sorted(entry.name for entry in folder.iterdir())


@pytest.mark.parametrize("durable", [True, False])
def test_only_a_durable_file_waits_for_the_disk(tmp_path, monkeypatch, durable):
    waited: list[int] = []
    monkeypatch.setattr(os, "fsync", waited.append)
    with atomic_write(tmp_path / "file", durable=durable) as file:
        file.write("whole")
    assert (tmp_path / "file").read_text() == "whole"
    assert names(tmp_path) == ["file"]
    assert bool(waited) is durable


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A real disk of 4 MiB."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=4m", "tmpfs", str(folder)]
    if shutil.which("mount") is None or subprocess.run(mount, capture_output=True).returncode != 0:
        pytest.skip("a small disk cannot be mounted here")
    yield folder
    subprocess.run(["umount", str(folder)], check=True)


def test_the_new_content_replaces_the_old_and_leaves_no_other_file(tmp_path: Path) -> None:
    target = tmp_path / "made" / "run.yaml"
    for text in ("old: ü\n", "new: ü\n"):
        with atomic_write(target) as file:
            file.write(text)
    assert target.read_bytes() == "new: ü\n".encode()
    assert names(target.parent) == ["run.yaml"]


def test_bytes_are_written_as_given(tmp_path: Path) -> None:
    with atomic_write(tmp_path / "a.bin", "wb") as file:
        file.write(b"\r\n\x00")
    assert (tmp_path / "a.bin").read_bytes() == b"\r\n\x00"


def test_the_old_content_is_seen_until_the_block_ends(tmp_path: Path) -> None:
    target = tmp_path / "a.txt"
    target.write_text("old")
    with atomic_write(target) as file:
        file.write("new")
        file.flush()
        assert target.read_text() == "old"


@pytest.mark.parametrize("error", [ValueError("mine"), KeyboardInterrupt()])
def test_an_error_in_the_block_keeps_the_old_content_and_passes_through(tmp_path: Path, error: BaseException) -> None:
    target = tmp_path / "a.txt"
    target.write_text("old")

    def write_half() -> None:
        with atomic_write(target) as file:
            file.write("half")
            raise error

    with pytest.raises(type(error)):
        write_half()
    assert target.read_text() == "old"
    assert names(tmp_path) == ["a.txt"]


def test_a_full_disk_is_a_storage_error_that_names_the_path(small_disk: Path) -> None:
    target = small_disk / "a.bin"
    target.write_bytes(b"old")
    with pytest.raises(StorageError, match=r"a\.bin: cannot be written: No space left.*outputs=FOLDER"):
        write_file(target, b"x" * (8 << 20))
    assert target.read_bytes() == b"old"
    assert names(small_disk) == ["a.bin"]


def test_a_full_disk_that_a_native_writer_tells_in_its_own_words_is_a_storage_error(small_disk: Path) -> None:
    def save() -> None:
        with atomic_folder(small_disk / "model") as folder:
            try:
                (folder / "weights").write_bytes(b"x" * (8 << 20))
            except OSError as error:
                raise RuntimeError("PytorchStreamWriter failed") from error

    with pytest.raises(StorageError, match="No space left"):
        save()
    assert names(small_disk) == []


def test_a_full_disk_while_a_folder_is_replaced_keeps_the_old_folder(small_disk: Path) -> None:
    write_folder(small_disk / "model", b"old")
    with pytest.raises(StorageError, match="model: cannot be written"):
        write_folder(small_disk / "model", b"x" * (8 << 20))
    assert (small_disk / "model" / "sub" / "weights").read_bytes() == b"old"
    assert names(small_disk) == ["model"]


def test_a_disk_that_fills_up_at_the_flush_is_a_storage_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", refuse)
    with pytest.raises(StorageError, match=r"a\.txt: cannot be written: No space left"):
        write_file(tmp_path / "a.txt", b"new")
    assert names(tmp_path) == []


def test_a_parent_that_is_a_file_is_a_storage_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StorageError, match=r"a\.txt: cannot be written"):
        write_file(tmp_path / "file" / "a.txt", b"")


def test_storage_errors_leaves_other_errors_alone(tmp_path: Path) -> None:
    with pytest.raises(ZeroDivisionError), storage_errors(tmp_path):
        _ = 1 / 0


def test_a_folder_is_replaced_whole(tmp_path: Path) -> None:
    write_folder(tmp_path / "model", b"", "old")
    write_folder(tmp_path / "model", b"", "new")
    assert names(tmp_path / "model" / "sub") == ["new"]
    assert names(tmp_path) == ["model"]


def test_a_folder_that_cannot_take_its_place_gives_the_old_one_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_folder(tmp_path / "model", b"", "old")
    rename = os.rename

    def refuse_the_new(source: str | Path, target: str | Path) -> None:
        if str(source).endswith(".partial"):
            raise OSError(5, "Input/output error")
        rename(source, target)

    monkeypatch.setattr(os, "rename", refuse_the_new)
    with pytest.raises(StorageError, match="Input/output error"):
        write_folder(tmp_path / "model", b"", "new")
    assert names(tmp_path) == ["model"]
    assert names(tmp_path / "model" / "sub") == ["old"]


def test_a_process_killed_while_it_writes_leaves_the_old_content(tmp_path: Path) -> None:
    target = tmp_path / "run.yaml"
    target.write_text("old")
    script = (
        "import sys, time\nfrom hft.files import atomic_write\n"
        "with atomic_write(sys.argv[1]) as file:\n"
        "    file.write('half'); file.flush(); open(sys.argv[2], 'w').close(); time.sleep(600)\n"
    )
    ready = tmp_path / "ready"
    process = subprocess.Popen([sys.executable, "-c", script, str(target), str(ready)])
    wait_until(ready.exists, "half a file")
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert target.read_text() == "old"


def test_the_hash_of_a_file_is_its_sha256(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"abc")
    expected = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
    assert sha256_file(tmp_path / "a") == expected


def test_the_hash_of_a_folder_sees_names_and_contents_and_nothing_else(tmp_path: Path) -> None:
    hashes = []
    for folder, name, text in [("1", "a", "x"), ("2", "a", "x"), ("3", "b", "x"), ("4", "a", "y")]:
        (tmp_path / folder).mkdir()
        (tmp_path / folder / name).write_text(text)
        hashes.append(sha256_folder(tmp_path / folder))
    assert hashes[0] == hashes[1]
    assert len({hashes[0], hashes[2], hashes[3]}) == 3


def test_patterns_choose_the_files_that_count(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text("a")
    before = sha256_folder(tmp_path, ["*.yaml"])
    (tmp_path / "b.log").write_text("b")
    assert sha256_folder(tmp_path, ["*.yaml"]) == before
    assert sha256_folder(tmp_path) != before
