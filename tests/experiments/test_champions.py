"""Champions: made, found, undone, protected; in a real store, and through a process that dies halfway."""

from __future__ import annotations

import contextlib
import shutil
import sqlite3
from pathlib import Path
from typing import Any

import mlflow
import pytest
from small_runs import small_config, train_line

from hft.errors import ConfigError, DamagedError, RunNotFoundError
from hft.experiments import RunRecord
from hft.experiments.champions import champion_of, protected_run_ids, rollback, store_uri
from hft.experiments.gate_looks import PROMOTIONS, GateLooks, Look
from hft.experiments.manager import ExperimentsManager
from hft.experiments.registry import CHAMPION, Champions
from hft.experiments.store import absolute_uri

MLFLOW = {"tracking__kind": "mlflow", "tracking__uri": "sqlite:///outputs/mlflow.db"}


def trained(name: str, **changes: Any) -> RunRecord:
    return train_line(small_config(run_name=name, **changes), Path("outputs/line") / name)


def promote(champions: Champions, record: RunRecord, *, is_best: bool = True) -> int:
    return champions.promote(record, expected=champions.champion("line"), is_best=is_best).version


@pytest.fixture
def champions(local_store: str) -> Champions:
    return Champions(local_store)


def test_where_no_store_is_there_is_no_champion_and_none_is_made() -> None:
    assert champion_of("line") is None
    assert protected_run_ids() == set()
    assert Champions(store_uri()).history("line") == []
    assert not Path("outputs").exists()


def test_a_method_without_a_promotion_has_no_champion(local_store: str) -> None:
    assert champion_of("line") is None
    assert Champions(local_store).methods() == []


def test_a_promoted_run_is_the_champion(champions: Champions) -> None:
    record = trained("a", **MLFLOW)
    made = champions.promote(record, expected=None, is_best=True, batch="2026-11", gate={"lower": 0.0125})
    found = champion_of("line")
    assert found is not None
    assert (found.run_id, found.folder) == (record.run_id, Path("outputs/line/a"))
    assert champions.champion("line") == made
    assert (made.version, made.predecessor, made.best, made.batch) == (1, None, 1, "2026-11")
    assert made.gate["lower"] == "0.0125"
    assert champions.methods() == ["line"]


def test_in_mlflow_it_is_a_version_of_a_registered_model_with_an_alias(champions: Champions) -> None:
    record = trained("a", **MLFLOW)
    promote(champions, record)
    version = mlflow.MlflowClient(champions.uri).get_model_version_by_alias("line", CHAMPION)
    assert version.source == f"runs:/{record.tracking.mlflow_run_id}/model"
    assert version.run_id == record.tracking.mlflow_run_id
    assert version.tags["hft.run_id"] == record.run_id
    assert version.tags["hft.folder"] == "line/a"


def test_a_run_tracked_in_its_folder_is_registered_from_there(champions: Champions) -> None:
    record = trained("a")
    promote(champions, record)
    version = mlflow.MlflowClient(champions.uri).get_model_version_by_alias("line", CHAMPION)
    assert version.source == (record.folder / "model").absolute().as_uri()


def test_rollback_goes_back_one_champion_at_a_time_and_not_beyond_the_first(champions: Champions) -> None:
    records = [trained(name) for name in ("a", "b", "c")]
    for record in records:
        promote(champions, record)
    was, now = rollback("line")
    assert (was.run_id, now.run_id) == (records[2].run_id, records[1].run_id)
    assert was.rolled_back_at is not None
    rollback("line")
    found = champion_of("line")
    assert found is not None
    assert found.run_id == records[0].run_id
    with pytest.raises(ConfigError, match="nothing to go back to") as refused:
        rollback("line")
    assert refused.value.exit_status == 2
    assert champions.champion("line") == champions.version("line", 1)


def test_after_a_rollback_the_next_promotion_follows_on_the_champion_of_the_day(champions: Champions) -> None:
    for name in ("a", "b"):
        promote(champions, trained(name))
    rollback("line")
    promote(champions, trained("c"))
    made = champions.champion("line")
    assert made is not None
    assert (made.version, made.predecessor) == (3, 1)
    assert [version.version for version in champions.history("line")] == [1, 2, 3]
    assert rollback("line")[1].version == 1


def test_without_a_champion_there_is_nothing_to_roll_back(local_store: str) -> None:
    promote(Champions(local_store), trained("a"))
    with pytest.raises(ConfigError, match=r"lines: has no champion .* Methods that have one: line"):
        rollback("lines")


def test_rollback_makes_no_store() -> None:
    with pytest.raises(ConfigError, match="no champion"):
        rollback("line")
    assert not Path("outputs").exists()


def test_rollback_to_a_run_whose_model_is_gone_is_refused_and_changes_nothing(champions: Champions) -> None:
    first, second = trained("a"), trained("b")
    promote(champions, first)
    promote(champions, second)
    shutil.rmtree(first.folder / "model")
    with pytest.raises(RunNotFoundError, match=first.run_id[:8]):
        rollback("line")
    champion = champions.champion("line")
    assert champion is not None
    assert (champion.run_id, champion.rolled_back_at) == (second.run_id, None)


def test_a_champion_whose_folder_moved_is_found_by_its_id(champions: Champions) -> None:
    record = trained("a")
    promote(champions, record)
    record.folder.rename("outputs/line/moved")
    found = champion_of("line")
    assert found is not None
    assert found.folder == Path("outputs/line/moved")


def test_a_champion_whose_folder_is_gone_comes_from_the_store(champions: Champions) -> None:
    record = trained("a", **MLFLOW)
    promote(champions, record)
    shutil.rmtree(record.folder)
    for _ in range(2):  # downloaded, then found there
        found = champion_of("line")
        assert found is not None
        assert found.run_id == record.run_id
        assert (found.folder / "model" / "model.safetensors").is_file()


def test_a_champion_that_is_nowhere_any_more_is_told(champions: Champions) -> None:
    record = trained("a")
    promote(champions, record)
    shutil.rmtree(record.folder)
    with pytest.raises(RunNotFoundError, match=f"line: version 1 is the run {record.run_id[:8]}"):
        champion_of("line")


def test_the_best_champion_stays_the_best_until_one_is_shown_to_be_better(champions: Champions) -> None:
    promote(champions, trained("a"))
    for name in ("b", "c"):
        promote(champions, trained(name), is_best=False)
    champion = champions.champion("line")
    assert champion is not None
    assert (champion.version, champion.best) == (3, 1)
    promote(champions, trained("d"))
    champion = champions.champion("line")
    assert champion is not None
    assert champion.best == 4


def test_champion_predecessor_and_best_are_protected(champions: Champions) -> None:
    records = [trained(name) for name in ("a", "b", "c", "d")]
    for number, record in enumerate(records):
        promote(champions, record, is_best=number == 0)
    other = train_line(small_config(method__meta__name="curve"), Path("outputs/curve/e"))
    champions.promote(other, expected=None, is_best=True)
    best, _, predecessor, champion = (record.run_id for record in records)
    assert protected_run_ids() == {best, predecessor, champion, other.run_id}


def test_a_run_held_against_a_champion_of_yesterday_is_refused(champions: Champions) -> None:
    promote(champions, trained("a"))
    stale = champions.champion("line")
    promote(champions, trained("b"))
    with pytest.raises(ConfigError, match="another run became champion"):
        champions.promote(trained("c"), expected=stale, is_best=True)
    with pytest.raises(ConfigError, match="another run became champion"):
        champions.promote(trained("d"), expected=None, is_best=True)
    assert len(champions.history("line")) == 2


def test_a_process_that_dies_before_the_alias_moves_leaves_the_old_champion(
    champions: Champions, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, second = trained("a"), trained("b")
    promote(champions, first)

    def killed(*arguments: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(mlflow.MlflowClient, "set_registered_model_alias", killed)
        with pytest.raises(KeyboardInterrupt):
            promote(champions, second)
    found = champion_of("line")
    assert found is not None
    assert found.run_id == first.run_id
    assert [version.version for version in champions.history("line")] == [1]
    assert promote(champions, second) == 3
    assert [version.version for version in champions.history("line")] == [1, 3]


def test_an_alias_that_points_to_a_strange_version_is_told(champions: Champions) -> None:
    promote(champions, trained("a"))
    client = mlflow.MlflowClient(champions.uri)
    strange = client.create_model_version("line", "/somewhere")
    client.set_registered_model_alias("line", CHAMPION, strange.version)
    with pytest.raises(RunNotFoundError, match=r"version 2 .* was not made by hft promote"):
        champion_of("line")


@pytest.mark.parametrize("method", ["a/b", "a:b", "it's", "two words"])
def test_a_method_may_have_any_name(champions: Champions, method: str) -> None:
    record = train_line(small_config(method__meta__name=method), Path("outputs/x/a"))
    champions.promote(record, expected=None, is_best=True)
    assert champions.methods() == [method]
    found = champion_of(method)
    assert found is not None
    assert found.run_id == record.run_id


def test_methods_whose_names_mlflow_cannot_tell_apart_keep_their_own_champions(champions: Champions) -> None:
    records = [
        train_line(small_config(method__meta__name=method), Path("outputs/x") / str(number))
        for number, method in enumerate(("a/b", "a:b"))
    ]
    for record in records:
        champions.promote(record, expected=champions.champion(record.method), is_best=True)
    assert [champion_of(record.method).run_id for record in records] == [r.run_id for r in records]  # type: ignore[union-attr]


def test_the_store_may_be_named(local_store: str, monkeypatch: pytest.MonkeyPatch) -> None:
    record = trained("a")
    Path("elsewhere").mkdir()
    shutil.move("outputs/mlflow.db", "elsewhere/mine.db")
    promote(Champions("sqlite:///elsewhere/mine.db"), record)
    assert champion_of("line") is None
    assert champion_of("line", uri="sqlite:///elsewhere/mine.db") is not None
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "sqlite:///elsewhere/mine.db")
    assert champion_of("line") is not None


def begun(store: str, method: str = "line", split: str = "test", units: str = "u", candidate: str = "a") -> Look:
    return GateLooks(store).begin(method, split, {}, units=units, comparison={"candidate": candidate})


def test_looks_are_counted_by_method_and_split(local_store: str) -> None:
    looks = GateLooks(local_store)
    assert looks.count("line", "test") == 0
    assert [begun(local_store).number for _ in range(2)] == [1, 2]
    assert begun(local_store, method="curve").number == 1
    assert begun(local_store, split="other").number == 1
    assert looks.count("line", "test") == 2


def test_candidates_are_counted_at_each_set_of_queries_and_the_same_comparison_once(local_store: str) -> None:
    found = [begun(local_store, units=units, candidate=name) for units, name in ("ua", "ua", "ub", "va", "uc", "wa")]
    assert [look.candidate for look in found] == [1, 1, 2, 1, 3, 1]
    assert [look.sets for look in found] == [1, 1, 1, 2, 2, 3]
    assert [look.number for look in found] == [1, 2, 3, 4, 5, 6]


def test_looks_of_an_older_hft_are_counted_and_take_no_level_from_another_set(local_store: str) -> None:
    tags = {"hft.method": "line", "hft.gate.split": "test"}
    ExperimentsManager(local_store).start_run(PROMOTIONS, "0" * 32, config={"candidate": "old"}, tags=tags)
    found = begun(local_store)
    assert (found.number, found.candidate, found.sets) == (2, 1, 2)


def test_a_look_counts_whether_or_not_its_answer_was_ever_told(local_store: str) -> None:
    looks = GateLooks(local_store)
    told = begun(local_store, candidate="abc")
    begun(local_store)
    looks.end(told, "not better", {"lower": -0.01})
    run = mlflow.MlflowClient(absolute_uri(local_store)).get_run(told.mlflow_run_id)
    assert run.data.tags["hft.gate.answer"] == "not better"
    assert run.data.metrics["lower"] == -0.01
    assert run.info.status == "FINISHED"
    assert begun(local_store).number == 3


def test_a_look_that_somebody_deletes_counts_on(local_store: str) -> None:
    mlflow.MlflowClient(absolute_uri(local_store)).delete_run(begun(local_store).mlflow_run_id)
    assert begun(local_store).number == 2


def test_looks_are_no_runs_of_an_iteration(local_store: str) -> None:
    begun(local_store)
    trained("a", **MLFLOW)
    names = {experiment.name for experiment in mlflow.MlflowClient(absolute_uri(local_store)).search_experiments()}
    assert {PROMOTIONS, "line/initial"} <= names


@pytest.mark.parametrize("tag", ["hft.run_id", "hft.predecessor", "hft.gate.lower", "hft.checksum"])
def test_a_flipped_bit_of_a_champions_tags_is_refused(champions: Champions, tag: str) -> None:
    promote(champions, trained("a", **MLFLOW))
    champions.promote(trained("b", **MLFLOW), expected=champions.champion("line"), is_best=True, gate={"lower": 0.0125})
    flip("outputs/mlflow.db", "model_version_tags", tag)
    with pytest.raises(DamagedError, match=r"line: version \d of its registered model: its tags are damaged"):
        Champions(champions.uri).champion("line")


@pytest.mark.parametrize("tag", ["hft.method", "hft.gate.split"])
def test_a_look_whose_tags_are_damaged_lowers_no_count(local_store: str, tag: str) -> None:
    begun(local_store)
    flip("outputs/mlflow.db", "tags", tag)
    with pytest.raises(DamagedError, match="its tags are damaged"):
        begun(local_store)


def flip(store: str, table: str, tag: str) -> None:
    """Flips the last bit of a tag's value, wherever it stands."""
    with contextlib.closing(sqlite3.connect(store)) as connection:
        rows = connection.execute(f"SELECT rowid, value FROM {table} WHERE key = ?", (tag,)).fetchall()
        assert rows
        for row, value in rows:
            changed = value[:-1] + chr(ord(value[-1]) ^ 1)
            connection.execute(f"UPDATE {table} SET value = ? WHERE rowid = ?", (changed, row))
        connection.commit()
