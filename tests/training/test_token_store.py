"""Tokens are computed once for a tokenizer, whoever asks first; what lies on disk changes no token."""

from __future__ import annotations

import multiprocessing
import os
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from hft.models.packed import PackedTexts
from hft.stores import StoreFolder, digest, text_keys
from hft.training import TokenStore, token_segments, token_store

KEY = digest("some tokenizer")


class Characters:
    """Tokenises a text as its characters, and remembers what it was asked."""

    def __init__(self, prompt: str = "") -> None:
        self.asked: list[str] = []
        self.prompt = prompt

    def __call__(self, texts: Sequence[str]) -> list[np.ndarray]:
        self.asked += texts
        return [np.frombuffer((self.prompt + text).encode(), dtype=np.uint8).astype(np.int32) for text in texts]


pytestmark = pytest.mark.usefixtures("stores_of_a_new_process")


@pytest.fixture
def folder(tmp_path: Path, said: list[str]) -> StoreFolder:
    return StoreFolder(tmp_path / "stores", None, said.append)


def build(texts: Sequence[str], folder: StoreFolder | None, key: str | None = KEY) -> tuple[TokenStore, list[str]]:
    """The store, and which texts had to be tokenised for it."""
    tokenize = Characters()
    return TokenStore.build(texts, tokenize, folder=folder, tokenizer_key=key), tokenize.asked


def words_of(store: TokenStore, rows: Sequence[int] | None = None) -> list[str]:
    wanted = np.arange(len(store)) if rows is None else np.array(rows, dtype=np.int64)
    return ["".join(map(chr, text)) for text in store.rows(wanted)]


def segments_in(folder: StoreFolder) -> list[Path]:
    return folder.files("tokens", KEY, ".arrow")


def lies_in_a_mapping(array: np.ndarray) -> bool:
    """Whether an array's memory belongs to a mapped .arrow file (Linux)."""
    address = array.__array_interface__["data"][0]
    for line in Path("/proc/self/maps").read_text().splitlines():
        start, end = (int(part, 16) for part in line.split()[0].split("-"))
        if start <= address < end:
            return ".arrow" in line
    return False


def test_what_one_run_tokenised_the_next_one_reads(folder: StoreFolder, said: list[str]) -> None:
    texts = ["one", "two", "three", "", "two"]
    first, asked = build(texts, folder)
    assert asked == ["one", "two", "three", ""]
    second, asked_again = build(texts, folder)
    assert asked_again == []
    assert words_of(first) == words_of(second) == texts
    assert second.lengths.tolist() == [3, 3, 5, 0, 3]
    assert len(segments_in(folder)) == 1
    assert said == []


@pytest.mark.skipif(not Path("/proc/self/maps").exists(), reason="asks Linux what is mapped")
def test_the_same_texts_again_are_views_of_the_mapped_file(folder: StoreFolder) -> None:
    build(["one", "two"], folder)
    store, _ = build(["one", "two"], folder)
    (part,) = store.parts
    assert lies_in_a_mapping(part.flat)
    assert lies_in_a_mapping(part.offsets)


def test_texts_are_gathered_from_all_segments_in_the_order_asked_for(folder: StoreFolder) -> None:
    for texts in (["a", "bb"], ["ccc", "bb", "dddd"], ["eeeee"]):
        build(texts, folder)
    assert len(segments_in(folder)) == 3
    wanted = ["dddd", "bb", "eeeee", "new", "a", "new", "ccc"]
    store, asked = build(wanted, folder)
    assert asked == ["new"]
    assert words_of(store) == wanted
    assert words_of(store, [6, 0, 0, 3]) == ["ccc", "dddd", "dddd", "new"]
    assert words_of(store, []) == []
    assert store.lengths.tolist() == [len(text) for text in wanted]
    kept = store.rows(np.array([2, 3])).keys
    assert kept is not None
    assert kept.tolist() == text_keys(["eeeee", "new"]).tolist()


def test_a_part_of_the_texts_is_found_without_the_others(folder: StoreFolder) -> None:
    build(["a", "bb", "ccc"], folder)
    store, asked = build(["ccc", "a"], folder)
    assert (words_of(store), asked) == (["ccc", "a"], [])


def test_random_texts_with_and_without_a_folder_are_the_same(folder: StoreFolder) -> None:
    rng = np.random.default_rng(0)
    for _ in range(12):
        texts = ["x" * int(size) + str(row) for size, row in rng.integers(0, 30, (40, 2))]
        with_folder, without = build(texts, folder)[0], build(texts, None)[0]
        rows = rng.integers(0, len(texts), 60)
        assert words_of(with_folder) == words_of(without) == texts
        assert np.array_equal(with_folder.lengths, without.lengths)
        assert np.array_equal(with_folder.rows(rows).flat, without.rows(rows).flat)
        assert np.array_equal(with_folder.rows(rows).keys, without.rows(rows).keys)  # type: ignore[arg-type]


def test_another_tokenizer_and_another_prompt_share_nothing(folder: StoreFolder) -> None:
    build(["one"], folder)
    assert build(["one"], folder, key="another-tokenizer")[1] == ["one"]
    assert build(["one"], folder, key=None)[1] == ["one"]
    prompted = Characters("query: ")
    store = TokenStore.build(["one"], prompted, folder=folder, tokenizer_key=KEY, prompt="query: ")
    assert (words_of(store), prompted.asked) == (["query: one"], ["one"])
    assert words_of(build(["query: one"], folder)[0]) == ["query: one"]


def test_texts_are_tokenised_in_blocks_and_cut_into_segments(
    folder: StoreFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(token_store, "TEXTS_AT_ONCE", 4)
    monkeypatch.setattr(token_store, "SEGMENT_TOKENS", 30)
    texts = [f"text {row}" for row in range(20)]
    first, asked = build(texts, folder)
    assert asked == texts
    assert len(segments_in(folder)) > 2
    second, asked = build(texts, folder)
    assert asked == []
    assert words_of(first) == words_of(second) == words_of(build(texts, None)[0]) == texts


def test_many_small_segments_become_one(folder: StoreFolder) -> None:
    texts = [f"text {row}" for row in range(20)]
    for number in range(1, len(texts) + 1):
        build(texts[:number:2], folder)
        build(texts[:number], folder)
    assert len(segments_in(folder)) <= token_segments.MANY_SEGMENTS
    store, asked = build(texts, folder)
    assert (words_of(store), asked) == (texts, [])


@pytest.mark.parametrize("gone", ["segments put together", "the entry"])
def test_a_reader_whose_segments_vanish_while_it_lists_them_gets_its_tokens(
    folder: StoreFolder, said: list[str], monkeypatch: pytest.MonkeyPatch, gone: str
) -> None:
    texts = [f"text {row}" for row in range(4)]
    for text in texts:
        build([text], folder)
    read = token_segments._read

    def too_late(path: Path) -> PackedTexts:
        """As if another process had been faster by a moment."""
        monkeypatch.setattr(token_segments, "_read", read)
        if gone == "the entry":
            folder.clear()
        else:
            monkeypatch.setattr(token_segments, "MANY_SEGMENTS", 2)
            token_segments.TokenSegments(folder, KEY).put_together()
        return read(path)

    monkeypatch.setattr(token_segments, "_read", too_late)
    store, asked = build(texts, folder)
    assert words_of(store) == texts
    assert asked == ([] if gone == "segments put together" else texts)
    assert build(texts, folder)[1] == []
    assert said == []


@pytest.mark.parametrize("keep", [0, 7, 200, -9])
def test_a_segment_that_is_cut_is_dropped_with_one_line_and_made_again(
    folder: StoreFolder, said: list[str], keep: int
) -> None:
    build(["one", "two"], folder)
    (path,) = segments_in(folder)
    content = path.read_bytes()
    path.write_bytes(content[:keep])
    store, asked = build(["one", "two"], folder)
    assert (words_of(store), asked) == (["one", "two"], ["one", "two"])
    assert len(said) == 1
    assert "is damaged: its checksum is" in said[0]
    assert path not in segments_in(folder)
    assert build(["one", "two"], folder)[1] == []
    assert len(said) == 1


def test_a_segment_of_other_columns_is_none(folder: StoreFolder, said: list[str]) -> None:
    import pyarrow as pa

    table = pa.record_batch({"text": ["one"]})
    with folder.publish_file("tokens", KEY, ".arrow") as path, pa.ipc.new_file(str(path), table.schema) as writer:
        writer.write_batch(table)
    assert words_of(build(["one"], folder)[0]) == ["one"]
    assert "other columns than expected" in said[0]


def test_a_full_disk_costs_a_line_and_no_run(
    folder: StoreFolder, said: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", refuse)
    store, asked = build(["one", "two"], folder)
    assert (words_of(store), asked) == (["one", "two"], ["one", "two"])
    assert len(said) == 1
    assert "No space left" in said[0]
    assert segments_in(folder) == []


def test_a_budget_that_is_spent_costs_a_line_and_no_run(tmp_path: Path, said: list[str]) -> None:
    small = StoreFolder(tmp_path / "stores", 10, said.append)
    assert words_of(build(["one", "two"], small)[0]) == ["one", "two"]
    assert len(said) == 1
    assert "stores.disk_budget" in said[0]
    assert segments_in(small) == []


def test_of_texts_whose_keys_agree_in_their_first_half_none_is_mistaken(
    folder: StoreFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    def colliding(texts: Sequence[str], prompt: str = "") -> np.ndarray:
        keys = text_keys(texts, prompt).copy()
        keys[:, 0] = 7
        return keys

    monkeypatch.setattr(token_store, "text_keys", colliding)
    texts = ["one", "two", "three", "one"]
    assert words_of(build(texts, folder)[0]) == texts
    assert words_of(build(texts[::-1], folder)[0]) == texts[::-1]
    assert words_of(build(["two", "four"], folder)[0]) == ["two", "four"]


def _build_in_process(root: str, texts: list[str], start: object, results: object) -> None:
    start.wait()  # type: ignore[attr-defined]
    store, asked = build(texts, StoreFolder(root, None))
    results.put((words_of(store) == texts, len(asked)))  # type: ignore[attr-defined]


def test_processes_that_tokenise_at_once_all_get_their_tokens_and_hardly_any_does_it_again(
    folder: StoreFolder,
) -> None:
    spawned = multiprocessing.get_context("spawn")
    texts = [f"text {row}" for row in range(300)]
    start, results = spawned.Barrier(3), spawned.Queue()
    workers = [
        spawned.Process(target=_build_in_process, args=(str(folder.root), texts[first:], start, results))
        for first in (0, 50, 100)
    ]
    for worker in workers:
        worker.start()
    are_right, tokenised = zip(*[results.get(timeout=60) for _ in workers], strict=True)
    assert are_right == (True, True, True)
    # Whoever waited does not wait again: of three sets in each other, one part is wanted by two who have waited.
    assert len(texts) <= sum(tokenised) <= len(texts) + 50
    for worker in workers:
        worker.join(20)
    store, asked = build(texts, folder)
    assert (words_of(store), asked) == (texts, [])


DIE_WHILE_WRITING = """
import sys, time
from pathlib import Path
import numpy as np
from hft.stores import StoreFolder
from hft.training import TokenStore, token_segments
write = token_segments._write
def half(path, texts):
    write(path, texts)
    path.write_bytes(path.read_bytes()[:-40])
    Path(sys.argv[2]).touch()
    time.sleep(60)
token_segments._write = half
tokenize = lambda texts: [np.arange(3, dtype=np.int32) for _ in texts]
TokenStore.build(["one"], tokenize, folder=StoreFolder(sys.argv[1], None), tokenizer_key=sys.argv[3])
"""


def test_a_process_killed_while_it_writes_leaves_no_segment(
    folder: StoreFolder, said: list[str], tmp_path: Path
) -> None:
    ready = tmp_path / "ready"
    writer = subprocess.Popen([sys.executable, "-c", DIE_WHILE_WRITING, str(folder.root), str(ready), KEY])
    deadline = time.monotonic() + 60
    while not ready.exists() and time.monotonic() < deadline:
        time.sleep(0.01)
    writer.send_signal(signal.SIGKILL)
    writer.wait()
    assert ready.exists()
    store, asked = build(["one"], folder)
    assert (words_of(store), asked, said) == (["one"], ["one"], [])
    assert not list((folder.root / "tokens").glob("*.partial"))


def test_a_store_of_packed_texts_is_those_texts() -> None:
    packed = PackedTexts.of([np.array([1, 2]), np.array([3])])
    store = TokenStore(packed)
    assert [text.tolist() for text in store.rows(np.array([1, 0]))] == [[3], [1, 2]]
    assert store.rows(np.array([0])).keys is None
