"""best.yaml: applied to the app, it gives exactly the config that the best trial had."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from hydra import compose, initialize_config_dir
from hydra.core.global_hydra import GlobalHydra
from omegaconf import OmegaConf

from hft.errors import ConfigError
from hft.search.results.best_config import winner_config
from hft.search.results.result_files import OTHER_COMMAND, ResultFiles, winner_command
from hft.search.spaces.overrides import override_lines
from hft.search.specs import RawValue
from hft.search.trial import Trial
from sweep_states import sweep_state

APP = {
    "app.yaml": "defaults:\n- _self_\n- db: mysql\n- db/pool@pool: small\n- backup: null\n- cache: small\n"
    "- optional limits: ${db}\nlr: 0.1\nname: null\nflag: true\nwords: [a]\n"
    "nested:\n  deep:\n    margin: 1.0\n    other: 2\n  kept: 3\ncopy: ${lr}\n",
    "db/mysql.yaml": "kind: mysql\nport: 3306\nuser: root\n",
    "db/pg.yaml": "kind: pg\nport: 5432\nuser: admin\n",
    "db/pool/small.yaml": "size: 1\n",
    "db/pool/large.yaml": "size: 9\n",
    "backup/daily.yaml": "hour: 3\n",
    "cache/small.yaml": "megabytes: 1\n",
    "limits/pg.yaml": "# @package _global_\nlimited: true\n",
}
GROUPS = ("db", "db/pool@pool", "backup", "cache")

NASTY = [
    "null", "true", "12", "1e-3", "1_000", "0x1F", "", " ", " leading", "a=b,c", "it's", 'a "word"', "back\\slash",
    "[1, 2]", "{a: 1}", "# no comment", "- item", "key: value", "$x", "%d", "yes", "2026-11-21", "~", "中文", "@a",
    "${lr}", "a: ${missing", "!tag", "&anchor", "*link", "|", ">", "1:30", ".inf", "nan",
]  # fmt: skip


@pytest.fixture
def app(tmp_path: Path) -> Path:
    for name, text in APP.items():
        path = tmp_path / "app" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return tmp_path / "app"


def composed(app: Path, overrides: Sequence[str]) -> Any:
    GlobalHydra.instance().clear()
    with initialize_config_dir(str(app), version_base="1.3"):
        return OmegaConf.to_container(compose("app", list(overrides)), resolve=False)


def with_winner(app: Path, overrides: Sequence[str], groups: Sequence[str] = GROUPS) -> Any:
    (app / "winner").mkdir(exist_ok=True)
    (app / "winner" / "best.yaml").write_text(winner_config(overrides, groups, ["a comment"]), encoding="utf-8")
    return composed(app, ["+winner=best"])


def test_groups_may_be_told_by_a_function(app):
    overrides = ["db=pg", "db/pool@pool=large", "+cache@second=small", "lr=0.3", "db.port=1"]
    asked: list[str] = []

    def is_group(key: str) -> bool:
        asked.append(key)
        return key in {"db", "cache"}

    assert winner_config(overrides, is_group) == winner_config(overrides, ("db", "cache@second"))
    assert {"cache", "db", "lr"} <= set(asked)


def test_what_the_run_needs_no_more_is_left_out():
    overrides = ["+search=mine", "search.folds=2", "~search.space.x", "+search/space=wide", "searching=1", "lr=1"]
    text = winner_config(overrides, {"search"}, without=("search",))
    assert OmegaConf.to_container(OmegaConf.create(text)) == {"searching": 1, "lr": 1}
    assert "search.space" not in text
    assert "search: mine" in winner_config(overrides, {"search"})


def test_an_enumeration_leaves_a_config_that_runs(tmp_path, app):
    params = {"db": RawValue("pg"), "lr": RawValue("0"), "name": RawValue("'0'")}
    state = sweep_state(tmp_path, [Trial(0, params, "done", values=(0.5,))], {"db": ["pg"]})
    ResultFiles({"db", "search"}.__contains__, ["search=mine"], without=("search",), pictures=False).on_end(state)
    (app / "winner").mkdir()
    (app / "winner" / "best.yaml").write_text((tmp_path / "conf" / "winner" / "best.yaml").read_text())
    assert composed(app, ["+winner=best"]) == composed(app, ["db=pg", "lr=0", "name='0'"])


@pytest.mark.parametrize(
    "overrides",
    [
        ["lr=0.3"],
        ["db=pg"],
        ["db=pg", "db.port=1"],
        ["db.port=1", "db=pg"],
        ["db/pool@pool=large", "pool.size=4"],
        ["backup=daily"],
        ["nested.deep.margin=0.5", "nested.deep.other=null"],
        ["lr=1", "lr=2"],
        ["+extra.key=[1,x,null]", "++lr=5", "++new=1"],
        ["nested={deep:{margin:7}}", "nested.deep.other=4"],
        ["nested.deep=null"],
        ["words=[b,1,'2',null,true]"],
        ["words=[]"],
        ["name='12'", "flag=false"],
        ["name=12"],
        ["name=1e-3"],
        ["name='1e-3'"],
        ["copy=${nested.kept}", "+twice='${lr} and ${name}'"],
        ["name=\\${lr}"],
        ["+backup=daily", "backup.hour=5"],
    ],
    ids=" ".join,
)
def test_the_winner_is_what_the_overrides_are(app, overrides):
    declared = [*GROUPS] if overrides[0] != "+backup=daily" else ["db"]
    if overrides[0] == "+backup=daily":
        text = (app / "app.yaml").read_text().replace("- backup: null\n", "")
        (app / "app.yaml").write_text(text)
        declared = ["db", "backup"]
    assert with_winner(app, overrides, declared) == composed(app, overrides)


@pytest.mark.parametrize("value", [text for text in NASTY if text != "a: ${missing"], ids=repr)
def test_a_string_stays_the_string_it_is(app, value):
    overrides = override_lines({"name": value})
    found = with_winner(app, overrides)
    assert found == composed(app, overrides)
    assert type(found["name"]) is str


@pytest.mark.parametrize("value", [None, True, 0, 1e-05, 3.0, [1, [2.5, "3"], None], -1.5e300])
def test_a_value_keeps_its_type(app, value):
    found = with_winner(app, override_lines({"name": value}))["name"]
    assert (found, type(found)) == (value, type(value))


def test_a_raw_value_is_read_by_the_grammar(app):
    assert with_winner(app, override_lines({"name": RawValue("[a,{b: 1}]")}))["name"] == ["a", {"b": 1}]


def test_a_group_that_is_deleted_is_left_out(app):
    assert {"cache", "pool"} <= set(composed(app, []))
    found = with_winner(app, ["~cache", "~db/pool@pool"])
    assert found == composed(app, ["~cache", "~db/pool@pool"])


def test_what_a_config_cannot_say_is_said_in_a_comment(app):
    text = winner_config(["~nested.kept", "words.0=b", "lr=1"], GROUPS)
    assert [line for line in text.splitlines() if "cannot express" in line] == [
        "# A config cannot express this, add it to the command line: ~nested.kept",
        "# A config cannot express this, add it to the command line: words.0=b",
    ]
    assert OmegaConf.create(text) == {"lr": 1}


def test_how_trials_were_run_is_left_out():
    text = winner_config(["hydra.verbose=true", "hydra/launcher=joblib", "hydrant=1"], ["hydra/launcher"])
    assert OmegaConf.create(text) == {"hydrant": 1}


def test_an_override_outside_of_the_grammar_is_a_message():
    with pytest.raises(ConfigError, match="overrides"):
        winner_config(["a=[1"], [])


def test_comments_never_become_content():
    text = winner_config(["lr=1"], [], ["first\nlr: 7", "second"])
    assert text.startswith("# @package _global_\n# first lr: 7\n# second\n")
    assert OmegaConf.create(text) == {"lr": 1}


def test_the_file_holds_fixed_overrides_then_the_trial_then_its_stage(app, tmp_path):
    stages = [{"max_evals": 1, "overrides": ["flag=false"]}, {"max_evals": 1, "overrides": ["nested.kept=9"]}]
    trials = [
        Trial(0, {"lr": 0.5, "db": "pg"}, "done", stage=0, values=(0.9,)),
        Trial(1, {"lr": 0.25, "db": "pg"}, "done", stage=1, values=(0.1,)),
    ]
    state = sweep_state(tmp_path / "my sweep", trials, {"lr": [0.5, 0.25], "db": ["pg", "mysql"]}, stages=stages)
    files = ResultFiles(["db"], ["name='07'", "lr=3"], command=OTHER_COMMAND, pictures=False)
    files.on_trial_end(trials[1], state)
    path = state.folder / "conf/winner/best.yaml"
    lines = [line for line in path.read_text().splitlines() if not line.startswith("# checksum")]
    assert lines[1] == f"# python YOUR_APP.py --config-dir '{tmp_path}/my sweep/conf' +winner=best"
    assert lines[2] == "# trial 1 of my sweep: ndcg@10 0.1000; best of 2 done trials (2 in all)"
    (app / "winner").symlink_to(path.parent)
    assert composed(app, ["+winner=best"]) == composed(app, ["name='07'", "db=pg", "lr=0.25", "nested.kept=9"])


def test_the_command_quotes_the_folder(tmp_path):
    folder = tmp_path / "a b"
    assert winner_command(folder) == f"hft train --config-dir '{folder}/conf' winner=best"


def test_without_a_done_trial_there_is_no_winner(tmp_path):
    trials = [Trial(0, {"lr": 1}, "failed", reason="ValueError: no")]
    state = sweep_state(tmp_path, trials, {"lr": [1]})
    ResultFiles(pictures=False).on_trial_end(trials[0], state)
    assert not (tmp_path / "conf").exists()
    assert (tmp_path / "trials.csv").exists()


def test_the_winner_of_hft_composes_in_hft(tmp_path):
    import hft

    params = {"loss": "prob_margin", "params.margin": 0.05, "params.examples_order": [1, 11], "optimizer": "sgd"}
    trials = [Trial(0, params, "done", values=(0.5,))]
    state = sweep_state(tmp_path, trials, {key: [value] for key, value in params.items()})
    ResultFiles(["loss", "optimizer", "trainer"], ["trainer=debug", "seed=3"], pictures=False).on_end(state)
    found = hft.compose(["winner=best"], config_dir=tmp_path / "conf")
    expected = hft.compose(["trainer=debug", "seed=3", *override_lines(params)])
    assert OmegaConf.to_container(found) == OmegaConf.to_container(expected)
