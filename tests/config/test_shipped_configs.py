"""Every file under conf/ composes, passes the check, and says how it is used; what the check reads is what is there."""

from __future__ import annotations

import inspect
import re
from pathlib import Path

import pytest
from hydra.utils import get_object
from omegaconf import OmegaConf

from hft.config import check
from hft.config.searchpath import packaged_folder
from hft.config.static import Sources, Symbols, signature_of

CONF = packaged_folder()
FILES = sorted(path.relative_to(CONF).as_posix() for path in CONF.rglob("*.yaml"))
OPTIONS = [name for name in FILES if "/" in name and not name.startswith("hydra/")]

# What a user must give with an option: files and folders that exist, names, and what makes it take effect.
NEEDED = {
    "data/augmentation/synonyms.yaml": ["data.augmentation.queries.table=lines.jsonl"],
    "data/passages.yaml": ["data.source.source.sessions=lines.jsonl", "data.source.source.items=lines.jsonl"],
    "data/aggregated.yaml": [
        "+data.source.sources.web={_target_: hft.data.SessionFiles, sessions: lines.jsonl, items: lines.jsonl}"
    ],
    "data/clicks/randomised.yaml": ["data.clicks.bucket=random"],
    "data/clicks/window.yaml": ["loss=prob_margin", "settings.negatives=shown"],
    "data/beir.yaml": ["data.source.folder=."],
    "data/huggingface.yaml": ["data.source.sessions=someone/clicks", "data.source.items=."],
    "data/sessions.yaml": ["data.source.sessions=lines.jsonl", "data.source.items=lines.jsonl"],
    "data/sql.yaml": ["data.source.url_env=PATH", "data.source.sessions=SELECT 1", "data.source.items=SELECT 2"],
    "data/ubi.yaml": ["data.source.events=lines.jsonl", "data.source.queries=lines.jsonl"],
    "data/categories.yaml": ["data.source.folder=."],
    "data/pictures.yaml": ["data.source.folder=."],
    "experiment/banking77.yaml": ["data.source.folder=."],
    "experiment/emoji_captions.yaml": ["data.source.folder=."],
    "experiment/movie_search.yaml": ["data.source.folder=."],
    "experiment/movie_search_dict.yaml": ["data.source.folder=."],
    "experiment/scifact.yaml": ["data.source.folder=."],
    "experiment/ubi_sample.yaml": ["data.source.events=.", "data.source.queries=."],
    "method/default.yaml": ["data.source.folder=."],
    "method/dict_text.yaml": ["data.source.sessions=lines.jsonl", "data.source.items=lines.jsonl"],
    "metrics/categories.yaml": ["method.main_metric=accuracy"],
    "model/clip.yaml": ["model.source=."],
    "model/hub.yaml": ["model.source=someone/some-model", "model.revision=main"],
    "model/local.yaml": ["model.source=."],
    "search/none.yaml": ["params.items_lr=1e-5,1e-4"],
}


def choice(name: str) -> str:
    """`loss/infonce.yaml` as the override `loss=infonce`."""
    group, _, option = name.removesuffix(".yaml").rpartition("/")
    return f"{group}={option}"


def targets_of_shipped_files() -> list[str]:
    found: set[str] = set()

    def collect(value: object) -> None:
        if isinstance(value, dict):
            if isinstance(value.get("_target_"), str):
                found.add(value["_target_"])
            for child in value.values():
                collect(child)
        elif isinstance(value, list):
            for child in value:
                collect(child)

    for name in FILES:
        collect(OmegaConf.to_container(OmegaConf.load(CONF / name), resolve=False))
    return sorted(found)


@pytest.mark.parametrize("name", OPTIONS)
def test_every_option_composes_and_passes_the_check(name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("lines.jsonl").write_text("{}\n")
    report = check([choice(name), *NEEDED.get(name, [])])
    assert report.ok, report.text()
    assert report.warnings == []
    assert report.notes == []


@pytest.mark.parametrize("name", FILES)
def test_every_file_opens_with_the_command_that_uses_it(name):
    lines = (CONF / name).read_text(encoding="utf-8").splitlines()
    comments = [line for line in lines[:2] if line.startswith("#") and not line.startswith("# @package")]
    assert comments, f"{name} opens without a comment"
    first = comments[0]
    if name in OPTIONS:
        group, _, option = name.removesuffix(".yaml").rpartition("/")
        assert re.match(rf"# hft train .*\b{re.escape(group)}={re.escape(option)}\b", first), first
    else:
        assert "hft train" in first


@pytest.mark.parametrize("name", [name for name in FILES if "@package" in (CONF / name).read_text(encoding="utf-8")])
def test_a_package_header_is_the_first_line_or_hydra_ignores_it(name):
    assert (CONF / name).read_text(encoding="utf-8").startswith("# @package")


@pytest.mark.parametrize("target", targets_of_shipped_files())
def test_the_signature_read_from_source_is_that_of_the_imported_object(target):
    symbols = Symbols(Sources(seconds_a_target=5.0))
    read = signature_of(symbols.find(target), symbols)
    real = inspect.signature(get_object(target))
    if list(real.parameters) == ["args", "kwargs"]:
        # A class without a constructor of its own under torch's Module or a Protocol: every argument fails when called.
        assert read.parameters == ()
        with pytest.raises(TypeError):
            get_object(target)(no_such_argument=1)
        return
    assert [(p.name, p.kind, p.has_default) for p in read.parameters] == [
        (p.name, p.kind, p.default is not p.empty) for p in real.parameters.values()
    ]
