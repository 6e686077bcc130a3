"""find_run takes what people have at hand, and names the nearest where nothing or too much answers."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from small_runs import small_config, train_line

from hft.errors import DataError, RunNotFoundError
from hft.experiments import RunRecord, find_run


@pytest.fixture
def run() -> RunRecord:
    return train_line(small_config(run_name="first try"), Path("outputs/line/2026-11-20_10-00-00-000001"))


def with_id(name: str, run_id: str, mlflow_run_id: str | None = None) -> RunRecord:
    record = train_line(small_config(), Path("outputs/line") / name)
    record.run_id = run_id
    record.tracking.mlflow_run_id = mlflow_run_id
    record.save()
    return record


def test_a_run_answers_to_folder_record_name_and_id(run: RunRecord) -> None:
    given = (str(run.folder), f"{run.folder}/run.yaml", run.folder.name, "first try", run.run_id, run.run_id[:6])
    assert {find_run(text).run_id for text in given} == {run.run_id}
    assert find_run(run.run_id).folder == run.folder


def test_a_folder_outside_outputs_is_found_by_its_path(run: RunRecord) -> None:
    shutil.copytree(run.folder, "elsewhere")
    assert find_run("elsewhere").folder == Path("elsewhere")


def test_mlflows_id_finds_the_folder_without_asking_the_store() -> None:
    record = with_id("a", "1" * 32, "abcdef" + "0" * 26)
    assert find_run("abcdef").run_id == record.run_id
    assert find_run("abcdef" + "0" * 26).run_id == record.run_id


def test_an_ambiguous_prefix_lists_who_answers() -> None:
    with_id("a", "abcdef11" + "0" * 24)
    with_id("b", "abcdef22" + "0" * 24)
    with pytest.raises(RunNotFoundError, match=r"2 runs answer(?s:.)*abcdef.*(?s:.)*abcdef"):
        find_run("abcdef")
    assert find_run("abcdef1").folder.name == "a"


def named(folder: str, *, reproduces: str | None = None) -> RunRecord:
    record = train_line(small_config(run_name="first try"), Path("outputs/line") / folder)
    record.reproduces = reproduces
    record.save()
    return record


def test_a_name_means_the_original_and_not_its_reproductions(run: RunRecord) -> None:
    once = named("b", reproduces=run.run_id)
    named("c", reproduces=once.run_id)
    assert find_run("first try").run_id == run.run_id
    assert find_run(once.run_id).run_id == once.run_id


def test_a_name_that_two_runs_have_says_to_use_the_id(run: RunRecord) -> None:
    named("b")
    with pytest.raises(RunNotFoundError, match="2 runs answer to it; use the id of one"):
        find_run("first try")


def test_a_prefix_that_is_too_short_names_the_run_and_the_rule() -> None:
    with_id("a", "abcdef11" + "0" * 24)
    with pytest.raises(RunNotFoundError, match=r"6 characters(?s:.)*abcdef11"):
        find_run("abc")


def test_an_unknown_run_names_the_nearest(run: RunRecord) -> None:
    with pytest.raises(RunNotFoundError, match=rf"Did you mean:\n  {run.run_id[:8]}"):
        find_run("2026-11-20_10-00-00-000002")


def test_an_unknown_run_like_none_names_the_latest(run: RunRecord) -> None:
    with pytest.raises(RunNotFoundError, match=rf"The latest are:\n  {run.run_id[:8]}"):
        find_run("zzz")


def test_the_latest_are_told_in_order_of_time(run: RunRecord) -> None:
    newest = train_line(small_config(), Path("outputs/a"))  # its folder's name comes last in the alphabet of `run`'s
    with pytest.raises(RunNotFoundError, match=rf"The latest are:\n  {newest.run_id[:8]}.*\n  {run.run_id[:8]}"):
        find_run("zzz")


def sweep_of(trials: int, best: int | None, folder: str = "outputs/sweeps/line/initial/s") -> list[RunRecord]:
    """A sweep's folder with trials that are done."""
    records = [train_line(small_config(), Path(folder) / str(number)) for number in range(trials)]
    Path(folder, "sweep.json").write_text("{}")
    told = None if best is None else {"number": best, "folder": f"/moved/since/{best}"}
    Path(folder, "summary.json").write_text(json.dumps({"best": told}))
    return records


def test_a_sweeps_folder_means_its_winner_and_that_is_said(capsys: pytest.CaptureFixture[str]) -> None:
    sweep = Path("outputs/sweeps/line/initial/s")
    records = sweep_of(3, best=1)
    assert find_run(sweep).run_id == records[1].run_id
    assert find_run(f"{sweep}/").run_id == records[1].run_id
    assert capsys.readouterr().err.count(f"{sweep} is a sweep: its winner is taken, trial 1 ({sweep}/1)") == 1


def test_of_a_winner_that_was_trained_once_more_the_complete_run_is_taken() -> None:
    records = sweep_of(2, best=0, folder="s")
    again = train_line(small_config(), Path("s/winner_0"))
    assert find_run("s").run_id == again.run_id
    again.status = "failed"
    again.save()
    assert find_run("s").run_id == records[0].run_id


@pytest.mark.parametrize("is_ended", [True, False])
def test_a_sweep_without_a_winner_is_refused(is_ended: bool) -> None:
    sweep_of(1, best=None, folder="s")
    if not is_ended:
        Path("s/summary.json").unlink()
    with pytest.raises(RunNotFoundError, match="s: is the folder of a sweep that has no winner yet"):
        find_run("s")


def test_without_any_run_the_message_says_how_to_make_one() -> None:
    with pytest.raises(RunNotFoundError, match="hft train"):
        find_run("abc")


def test_a_folder_that_is_no_run_is_no_run() -> None:
    Path("empty").mkdir()
    with pytest.raises(RunNotFoundError, match="'empty': is no run folder"):
        find_run("empty")


def test_another_broken_record_does_not_hide_a_run(run: RunRecord) -> None:
    Path("outputs/line/broken").mkdir()
    Path("outputs/line/broken/run.yaml").write_text("x: [")
    assert find_run(run.run_id[:8]).run_id == run.run_id
    with pytest.raises(DataError, match="broken"):
        find_run("broken")


def test_a_run_whose_folder_is_gone_comes_from_the_store(local_store: str) -> None:
    config = small_config(tracking__kind="mlflow", tracking__uri=local_store)
    record = train_line(config, Path("outputs/line/a"))
    shutil.rmtree(record.folder)
    found = find_run(str(record.tracking.mlflow_run_id)[:8])
    assert found.run_id == record.run_id
    assert (found.folder / "model" / "model.safetensors").is_file()
    assert (found.folder / "steps.jsonl").is_file()
    with pytest.raises(RunNotFoundError):
        find_run("0" * 32)
