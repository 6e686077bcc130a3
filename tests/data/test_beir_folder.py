from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from omegaconf import OmegaConf

from hft.data import BeirFolder, GivenSplitter, Quarantine, QuerySplitter, prepare_ranking_data
from hft.errors import DataError

Write = Callable[[str, Any], Path]
MOVIE_FIELDS = ["title", "text", "metadata.genres", "metadata.director", "metadata.actors"]
CORPUS = [
    {"_id": "1", "title": "Alien", "text": "In space.", "metadata": {"genres": ["Horror", "Space"], "year": 1979}},
    {"_id": "2", "title": "Up", "text": "", "metadata": {"genres": [], "year": None}},
    {"_id": "3", "title": "Heat", "text": "A heist.", "metadata": {"genres": ["Crime"]}},
]
QUERIES = [{"_id": "q1", "text": "space"}, {"_id": "q2", "text": "balloons"}]
TRAIN = ["query-id\tcorpus-id\tscore", "q1\t1\t2", "q1\t2\t0", "q1\t3\t0"]
TEST = ["query-id\tcorpus-id\tscore", "q2\t2\t1", "q2\t3\t0"]


@pytest.fixture
def folder(write: Write, tmp_path: Path) -> Path:
    write("corpus.jsonl.gz", CORPUS)
    write("queries.jsonl", QUERIES)
    write("qrels/train.tsv", TRAIN)
    write("qrels/test.tsv.gz", TEST)
    return tmp_path


def test_judged_items_are_what_was_shown(folder: Path) -> None:
    data = BeirFolder(folder, reading="shown").read(Quarantine())
    second, first = data.inputs[0], data.inputs[1]
    assert dict(zip(first.results, first.events, strict=True)) == {"1": 2.0, "2": 0.0, "3": 0.0}
    assert dict(zip(second.results, second.events, strict=True)) == {"2": 1.0, "3": 0.0}
    assert set(data.inputs.table.column("split").to_pylist()) == {"train", "test"}


def test_texts_are_made_of_the_named_fields(folder: Path) -> None:
    source = BeirFolder(folder, item_fields=["title", "text", "metadata.genres", "metadata.year"])
    items = source.read(Quarantine()).items
    assert items.texts == ["Alien\nIn space.\nHorror, Space\n1979", "Up", "Heat\nA heist.\nCrime"]
    assert items.titles == ["Alien", "Up", "Heat"]


def test_a_field_in_no_line_is_told_with_the_nearest_one(folder: Path) -> None:
    with pytest.raises(DataError, match=r"metadata\.genre'.*did you mean 'metadata\.genres'.*item_fields"):
        BeirFolder(folder, item_fields=["title", "metadata.genre"]).read(Quarantine())


def test_malformed_lines_are_set_aside_with_their_reasons(write: Write, folder: Path) -> None:
    write("corpus.jsonl.gz", [*CORPUS, "{broken", CORPUS[0], {"_id": "1", "title": "Aliens"}, {"title": "no id"}])
    write("queries.jsonl", [*QUERIES, {"_id": "q3"}, {"_id": "q1", "text": "other"}, b'{"_id": "q4", "text": "\xff"}'])
    bad = ["q1\t1", "q9\t1\t1", "q1\t9\t1", "q1\t2\tmany", "q1\t1\t0", "q1\t3\tnan"]
    write("qrels/train.tsv", [*TRAIN, *bad])
    quarantine = Quarantine(None, 0.9)
    data = BeirFolder(folder, reading="shown").read(quarantine)
    assert len(data.items) == 3
    assert len(data.inputs) == 2
    assert data.dropped["identical lines of the corpus"] == 1
    assert quarantine.reasons == {
        "malformed JSON": 1,
        "another item has this id": 1,
        "field '_id': no id that is a text or a whole number": 1,
        "missing field 'text'": 1,
        "another query has this id": 1,
        "not UTF-8": 1,
        "not three columns (query-id, corpus-id, score)": 1,
        "no query has this id": 1,
        "no item has this id": 1,
        "the score is not a number": 1,
        "another score stands for this query and item": 1,
        "the score is not finite": 1,
    }


def test_sessions_in_which_everything_was_picked_are_left_out(write: Write, folder: Path) -> None:
    write("qrels/train.tsv", [*TRAIN[:2], "q1\t2\t1", "q1\t3\t1"])
    data = BeirFolder(folder, reading="shown").read(Quarantine())
    assert data.inputs.queries == ["balloons"]
    assert data.dropped["sessions in which every result was picked"] == 1


@pytest.mark.parametrize("missing", ["corpus.jsonl.gz", "queries.jsonl"])
def test_a_missing_file_is_named(folder: Path, missing: str) -> None:
    (folder / missing).unlink()
    with pytest.raises(DataError, match=missing.removesuffix(".gz")):
        BeirFolder(folder).read(Quarantine())


def test_missing_judgements_and_folders_are_named(folder: Path, tmp_path: Path) -> None:
    for path in (folder / "qrels").iterdir():
        path.unlink()
    with pytest.raises(DataError, match=r"qrels/train\.tsv"):
        BeirFolder(folder).read(Quarantine())
    with pytest.raises(DataError, match=r"data\.source\.folder"):
        BeirFolder(tmp_path / "nowhere").read(Quarantine())


def test_a_gzip_file_that_is_cut_off_is_an_error(folder: Path) -> None:
    corpus = folder / "corpus.jsonl.gz"
    corpus.write_bytes(corpus.read_bytes()[:-12])
    with pytest.raises(DataError, match=r"corpus\.jsonl\.gz.*cut off"):
        BeirFolder(folder).read(Quarantine())


def test_four_columns_of_trec_are_read_too(write: Write, folder: Path) -> None:
    write("qrels/train.tsv", ["q1 0 1 2", "q1 0 2 0"])
    data = BeirFolder(folder, reading="shown").read(Quarantine())
    assert sorted(data.inputs.table.column("split").to_pylist()) == ["test", "train"]


def test_movie_search_is_read_as_sessions(shared_data: Path) -> None:
    source = BeirFolder(shared_data / "movie_search", reading="shown", item_fields=MOVIE_FIELDS)
    data = prepare_ranking_data(source, QuerySplitter(), candidates="shown")
    assert len(data.items) == 9750
    assert sum(map(len, data.splits.values())) == 13052 - 76
    assert data.report.dropped == {"sessions in which every result was picked": 76}
    assert data.pools == {}
    assert "Jaume Collet-Serra" in data.items.texts[0]
    # Shown in a drawn order: the share of picks is the same at the top and further down.
    events, offsets = data.train.flat_events > 0, data.train.offsets
    top = events[offsets[:-1]].mean()
    assert top == pytest.approx(events.mean(), abs=4 * np.sqrt(0.14 * 0.86 / len(data.train)))


def test_given_test_queries_that_training_has_seen_leave_train(shared_data: Path) -> None:
    """By the noise words that experiment=movie_search names."""
    shipped = OmegaConf.load(Path(__file__).parents[2] / "conf" / "experiment" / "movie_search.yaml")
    splitter = GivenSplitter(noise_words=list(shipped.data.splitter.noise_words))
    source = BeirFolder(shared_data / "movie_search", reading="shown")
    strict = prepare_ranking_data(source, splitter, candidates="shown")
    loose = prepare_ranking_data(source, splitter, candidates="shown", keep_seen_queries=True)
    assert len(strict.test) == len(loose.test)
    assert strict.report.dropped["sessions whose query is held out from their split"] > 500
    assert len(loose.train) > len(strict.train)


def test_scifact_is_read_as_a_labelled_corpus(shared_data: Path) -> None:
    data = prepare_ranking_data(BeirFolder(shared_data / "scifact"), GivenSplitter(), candidates="corpus")
    assert len(data.items) == 5183
    assert len(data.test) == 300
    assert np.diff(data.test.labels().offsets).sum() == 339
    assert len(data.pools["test"]) == 5183
    lines = (shared_data / "scifact" / "qrels" / "train.tsv").read_text().splitlines()[1:]
    of_train = {line.split("\t")[1] for line in lines}
    only_of_test = {data.items.ids[row] for row in data.test.labels().rows.tolist()} - of_train
    assert len(only_of_test) > 100
    assert not only_of_test & {data.items.ids[row] for row in set(data.train.flat_results.tolist())}


def test_labels_are_learned_from_by_their_grades_and_measured_by(folder: Path, write: Write) -> None:
    write("qrels/train.tsv", [*TRAIN[:2], "q1\t2\t1", "q1\t3\t0"])
    data = prepare_ranking_data(
        BeirFolder(folder), GivenSplitter(validation=0.001), candidates="corpus", required_splits=("train", "test")
    )
    (found,) = data.train
    assert dict(zip(found.results, found.events, strict=True)) == {"1": 2.0, "2": 1.0, "3": 0.0}
    labels = data.test.labels()
    assert dict(zip(labels.rows.tolist(), labels.grades.tolist(), strict=True)) == {1: 1.0, 2: 0.0}
    assert data.report.learns_from == "labels, by their grades"
    assert "learns from: labels, by their grades" in data.report.lines()


@pytest.mark.parametrize("reading", ["simulated", "judged"])
def test_simulated_clicks_are_an_option_and_told(folder: Path, reading: Any) -> None:
    data = BeirFolder(folder, reading=reading).read(Quarantine())
    assert data.impressions is not None
    assert data.learns_from == "simulated clicks, though labels are known"
