"""A search is checked before its first trial: its settings, and every key and value of its space."""

from __future__ import annotations

import shlex
from pathlib import Path

import pytest
from omegaconf import OmegaConf

from hft.cli.train_help import train_help
from hft.config import check, compose, ineffective_keys
from hft.config.space_contexts import sample
from hft.search import Choice, Integer, Normal, SearchSpace, Uniform


def errors(*overrides: str, multirun: bool | None = True) -> dict[str, str]:
    """Text of each error, by where it is."""
    return {finding.where: str(finding) for finding in check(overrides, multirun=multirun).errors}


def of_space(node: str, *overrides: str, multirun: bool | None = True) -> dict[str, str]:
    """Errors of a request whose space is `node`, in Hydra's grammar."""
    return errors("search=none", f"+search.space={node}", "search.max_evals=9", *overrides, multirun=multirun)


def shipped(name: str) -> SearchSpace:
    return SearchSpace.parse(OmegaConf.to_container(compose([f"search={name}"]).search.space, resolve=True))


# A space, where its error is, and what its message must say.
WRONG_SPACES = [
    ("{params.margin:[]}", "search.space.params.margin", "a choice of nothing"),
    ("{params:{margin:{low:3,high:1}}}", "search.space.params.margin", "found low 3 above high 1"),
    ("{params:{items_lr:{low:0,high:1,log:true}}}", "search.space.params.items_lr", "allowed: low > 0"),
    ("{seed:[1,2]}", "search.space.seed", "search.seeds=[0,1,2]"),
    ("{params.margim:[0.1]}", "search.space.params.margim", "did you mean params.margin?"),
    ("{los:[infonce]}", "search.space.los", "did you mean loss?"),
    ("{loss:[infonse,margin]}", "search.space.loss", "did you mean loss=infonce?"),
    ("{data/splitter:[by_group,by_qury]}", "search.space.data/splitter", "did you mean data/splitter=by_query?"),
    ("{data/spliter:[by_group]}", "search.space.data/spliter", "did you mean data/splitter?"),
    ("{params.items_lr:[1e-5,7]}", "search.space.params.items_lr", "found 7 (with params.items_lr=7)"),
    ("{params.items_lr:{low:0.5,high:2}}", "search.space.params.items_lr", "less than or equal to 1"),
    ("{params.num_fixed_layers:{low:0,high:4}}", "search.space.params.num_fixed_layers", "a valid integer"),
    ("{params.items_lr:{mean:3,std:1}}", "search.space.params.items_lr", "less than or equal to 1"),
    ("{params.examples_order:[[11],[12]]}", "search.space.params.examples_order", "found 12"),
    ("{settings.negatives:[shown,bth]}", "search.space.settings.negatives", "(with settings.negatives=bth)"),
    ("{+optimizer.amsgrd:[true]}", "search.space.+optimizer.amsgrd", "did you mean optimizer.amsgrad?"),
    ("{optimizer.amsgrad:[true,false]}", "search.space.optimizer.amsgrad", "+optimizer.amsgrad=true"),
    (
        "{loss:[infonce,margin],loss.temperature:[0.1,0.2]}",
        "search.space.loss.temperature",
        "there is no such key (with loss=margin)",
    ),
    (
        "{loss:[infonce,margin],loss.temperature:{choices:[0.1,-1],when:{loss:infonce}}}",
        "search.space.loss.temperature",
        "found -1 (with loss=infonce loss.temperature=-1)",
    ),
    (
        "{loss:[infonce,margin],loss.temperature:{choices:[0.1],when:{loss:[infonce,margin]}}}",
        "search.space.loss.temperature",
        "there is no such key (with loss=margin)",
    ),
]


@pytest.mark.parametrize(("node", "where", "says"), WRONG_SPACES)
def test_a_wrong_space_is_refused_with_its_key_and_what_is_allowed(folder, node, where, says):
    found = of_space(node)
    assert where in found, found
    assert says in found[where]


RIGHT_SPACES = [
    "{params.items_lr:[1e-5,1e-4],params.max_abs_difference_threshold:[null,0.5]}",
    "{loss:[infonce,margin],loss.temperature:{low:0.01,high:0.1,log:true,when:{loss:infonce}}}",
    "{data/splitter:[by_group,by_query],+optimizer.amsgrad:[true,false]}",
    "{model:[minilm,minilm_two_towers],params.query_lr:{choices:[1e-5],when:{model:minilm_two_towers}}}",
    "{params.num_fixed_layers:{low:0,high:4,integer:true}}",
]


@pytest.mark.parametrize("node", RIGHT_SPACES)
def test_a_right_space_is_not_refused(folder, node):
    assert of_space(node) == {}


# What stands under `space:` in a file, and the keys that are told, each with words of its message.
SEVERAL_MISTAKES = [
    (
        "  loss: [infonce, prob_margn]\n"
        "  loss.temperature: {low: 0.2, high: 0.02, log: true, when: {loss: infonce}}\n"
        "  params.margin: {choices: [0.01, 0.02], when: {loss: prob_margin}}\n"
        "  params.items_lrr: {low: 1.0e-5, high: 2.0e-4, log: true}\n"
        "  params.num_fixed_layers: []\n",
        {
            "loss": "did you mean loss=prob_margin?",
            "loss.temperature": "found low 0.2 above high 0.02",
            "params.items_lrr": "did you mean params.items_lr?",
            "params.num_fixed_layers": "a choice of nothing",
        },
    ),
    (
        "  loss: [infonce, prob_margn]\n  params.margin: {choices: [0.01], when: {loss: prob_margn}}\n",
        {"loss": "found prob_margn", "params.margin.when.loss": "allowed: infonce, prob_margin\n"},
    ),
    (
        "  loss: []\n  params.margin: {choices: [0.01], when: {loss: margin}}\n  params.items_lr: [7]\n",
        {"loss": "a choice of nothing", "params.items_lr": "found 7"},
    ),
    (
        "  loss: [infonce, zzzz]\n  params.items_lr: {low: 3, high: 1, when: {loss: infonce}}\n",
        {"loss": "found zzzz", "params.items_lr": "found low 3 above high 1"},
    ),
    (
        "  loss: {choices: [infonce], when: {ranker: dot}}\n  ranker: {choices: [dot], when: {loss: infonce}}\n"
        "  params.items_lr: [7]\n",
        {"loss.when": "in a circle", "params.items_lr": "found 7"},
    ),
]


@pytest.mark.parametrize(("space", "told"), SEVERAL_MISTAKES)
def test_all_mistakes_of_a_space_are_named_at_once_and_each_once(write, space, told):
    write("conf/search/mine.yaml", f"defaults: [none, _self_]\nmax_evals: 3\nspace:\n{space}")
    found = errors("search=mine")
    assert set(found) == {f"search.space.{key}" for key in told}, found
    assert all(words in found[f"search.space.{key}"] + "\n" for key, words in told.items()), found


# What is typed beside `search=none search.max_evals=2`, and the only error's place: none is told because of another.
ONE_MISTAKE = [
    (["params.items_lr=interval(1e-3,1e-5)"], "params.items_lr=interval(1e-3,1e-5)"),
    (["params.items_lr=tag(log,interval(0,1e-5))"], "params.items_lr=tag(log,interval(0,1e-5))"),
    (["params.items_lr=choice()"], "params.items_lr=choice()"),
    (["params.items_lrr=interval(1e-5,1e-4)"], "params.items_lrr"),
    (["params.items_lrr=1e-5,1e-4"], "params.items_lrr"),
    (["loss=infonce,prob_margn"], "loss"),
    (["params.items_lr=interval(-1.0,1e-5)"], "params.items_lr"),
    (["loss=infonce,prob_margin", "loss.temperature=0.1,0.2"], "loss.temperature"),
]


@pytest.mark.parametrize(("typed", "where"), ONE_MISTAKE)
def test_a_mistake_on_the_command_line_is_one_error(folder, typed, where):
    found = check(["search=none", "search.max_evals=2", *typed]).errors
    assert [finding.where for finding in found] == [where]


def test_a_misspelt_search_beside_an_interval_is_one_error(folder):
    found = check(["search=intial", "params.items_lr=interval(1e-5,1e-4)"]).errors
    assert [finding.where for finding in found] == ["search"]


# A search whose keys all change nothing, and one of which some key does.
@pytest.mark.parametrize(
    ("typed", "is_refused"),
    [
        (["params.margin=0.1,0.2"], True),
        (["params.margin=interval(0.1,0.2)", "params.query_lr=1e-5,1e-4"], True),
        (["params.margin=0.1,0.2", "params.items_lr=1e-5,1e-4"], False),
        (["params.margin=0.1,0.2", "loss=infonce,prob_margin"], False),
        (["params.margin=0.1,0.2", "loss=prob_margin"], False),
    ],
)
@pytest.mark.parametrize("multirun", [None, True])
def test_a_search_of_what_has_no_effect_is_refused_with_the_reason(folder, typed, is_refused, multirun):
    found = errors("search=none", "search.max_evals=2", *typed, multirun=multirun)
    assert set(found) == ({"search.space"} if is_refused else set())
    if is_refused:
        assert "no effect: params.margin: the loss hft.losses.InfoNCELoss ignores it" in found["search.space"]


@pytest.mark.parametrize(
    ("overrides", "where", "says"),
    [
        (["search.pruner=medain"], "search.pruner", "'median', 'asha' or 'hyperband'"),
        (["search.pruner.kind=asha"], "search.pruner.kind", "write search.pruner=asha, or with options"),
        (["search.pruner.min_reports=2"], "search.pruner.min_reports", "'search.pruner={kind: asha, min_reports: 2}'"),
        (["search=text", "search.pruner.min_trials=9"], "search.pruner.min_trials", "{kind: median, min_trials: 9}"),
        (["search.pruner=hyperband"], "search.pruner.max_reports", "{kind: hyperband, max_reports: 9}"),
        (["search.pruner={kind: hyperband}"], "search.pruner.max_reports", "is missing"),
    ],
)
def test_a_wrong_pruner_is_refused_with_how_to_write_it(folder, overrides, where, says):
    found = errors(*overrides)
    assert set(found) == {where}
    assert says in found[where]


RIGHT_PRUNERS = ["median", "asha", "{kind: asha, min_reports: 2}", "{kind: hyperband, max_reports: 9}", "null"]


@pytest.mark.parametrize("search", ["initial", "text"])
@pytest.mark.parametrize("pruner", RIGHT_PRUNERS)
def test_a_pruner_may_be_a_word_or_a_mapping(folder, search, pruner):
    assert errors(f"search={search}", f"search.pruner={pruner}") == {}


# A space in which a key belongs to some options of a searched group only, and the condition that is advised.
WITHOUT_A_CONDITION = [
    ("{loss:[infonce,prob_margin],loss.temperature:{low:0.1,high:0.2}}", "loss.temperature", "when: {loss: infonce}"),
    ("{loss:[infonce,prob_margin,margin],loss.shift:[0.1]}", "loss.shift", "when: {loss: prob_margin}"),
    ("{loss:[infonce,prob_margin,cosine_prob_margin],loss.scale:[2]}", "loss.scale", "[prob_margin, cosine_prob"),
]


@pytest.mark.parametrize(("node", "key", "advice"), WITHOUT_A_CONDITION)
def test_a_key_of_some_options_only_is_advised_a_condition(folder, node, key, advice):
    found = of_space(node)[f"search.space.{key}"]
    assert advice in found
    assert "did you mean" not in found


def test_a_range_is_wrong_by_its_ends_and_never_by_a_value_between_that_nobody_wrote(folder):
    found = check(["search=none", "search.max_evals=2", "params.num_fixed_layers=interval(0,4)"]).errors
    assert [str(error.found) for error in found] == ["found values between 0.0 and 4.0"]
    assert "int(interval(LOW,HIGH))" in str(found[0])


def test_an_interval_without_m_is_not_advised_to_be_a_list(folder):
    (warning,) = check(["search=none", "params.items_lr=interval(1e-6,1e-5)"], multirun=None).warnings
    assert warning.advice is not None
    assert warning.advice.startswith("add -m")
    assert "[interval" not in warning.advice


def test_values_that_are_wrong_only_together_with_another_parameters_are_not_refused(folder):
    node = "{params.min_abs_difference_threshold:[0.0,0.5],params.max_abs_difference_threshold:[0.9,0.4]}"
    assert of_space(node) == {}


# What was typed beside -m, where the error is, and what its message must say.
WRONG_SEARCHES = [
    (["search=none"], "search.space", "is empty: there is nothing to search"),
    (["search=broad", "search.max_evals=null"], "search.max_evals", "search.max_evals=20"),
    (["search.max_evals=0"], "search.max_evals", "greater than or equal to 1"),
    (["search.folds=1"], "search.folds", "greater than or equal to 2"),
    (["search.seeds=[]"], "search.seeds", "at least 1 item"),
    (["search.metric=ndcg@100"], "search.metric", "did you mean ndcg@10?"),
    (["search.metric=validation_ndcg@1"], "search.metric", "did you mean ndcg@10?"),
    (["search.metric=test_ndcg@10"], "search.metric", "test is read once"),
    (["search.metric=[ndcg@10,loss]"], "search.direction", "found 1 for 2 metrics"),
    (
        ["search.metric=[ndcg@10,loss]", "search.direction=[maximize,minimize]", "hydra/sweeper=hft_hyperopt"],
        "search.metric",
        "hydra/sweeper=hft_optuna",
    ),
    (["search.algorithm=cmaes", "hydra/sweeper=hft_hyperopt"], "search.algorithm", "hydra/sweeper=hft_optuna has it"),
    (["search.algorithm=anneal", "hydra/sweeper=hft_optuna"], "search.algorithm", "allowed: tpe, cmaes"),
    (["search.algorithm=tpee"], "search.algorithm", "allowed: 'tpe'"),
    (["search=broad", "search.algorithm=grid", "hydra/sweeper=hft_optuna"], "search.algorithm", "there is no grid"),
    (["search.pruner={kind:medain}"], "search.pruner.kind", "'median'"),
    (["search.reuse=replay"], "search.reuse", "iteration=next"),
    (["search.reuse=replya"], "search.reuse", "'replay'"),
    (["search.max_eval=3"], "search.max_eval", "did you mean search.max_evals?"),
    (["hydra/sweeper=hft_optunna"], "hydra/sweeper", "did you mean hydra/sweeper=hft_optuna?"),
    (["hydra.sweeper.max_evals=3", "hydra/sweeper=hft_optuna"], "hydra.sweeper.max_evals", "search.max_evals=VALUE"),
    (["search.stages=[{max_evals:3,around_best:2}]"], "search.stages.0.around_best", "less than or equal to 1"),
    (
        ["search.stages=[{max_evals:3,overrides:['data.train_shar=0.1']}]"],
        "search.stages.0.overrides",
        "did you mean data.train_share?",
    ),
    (["search.stages=[{max_evals:3,overrides:['data.train_share=7']}]"], "search.stages.0.overrides", "equal to 1"),
    (["search.stages=[{max_evals:3,overrides:['seed=1,2']}]"], "search.stages.0.overrides", "is a sweep"),
    (["search=none", "search.max_evals=2", "seed=1,2"], "search.space", "is empty"),
    (["search=none", "params.items_lr=interval(0,1)"], "search.max_evals", "there is no limit"),
    (
        ["search=none", "search.max_evals=2", "params.items_lr=interval(0,2)"],
        "params.items_lr",
        "found 2.0 (with params.items_lr=2.0)",
    ),
    (
        ["search=none", "search.max_evals=2", "params.items_lr=interval(2,1)"],
        "params.items_lr=interval(2,1)",
        "found low 2.0 above high 1.0",
    ),
    (
        ["search=none", "search.max_evals=2", "params.num_fixed_layers=interval(0,4)"],
        "params.num_fixed_layers",
        "a valid integer",
    ),
    (["search=initial", "params.items_lr=1e-5,7"], "params.items_lr", "found 7"),
]


@pytest.mark.parametrize(("overrides", "where", "says"), WRONG_SEARCHES)
def test_a_wrong_search_is_refused_with_its_key_and_what_to_do(folder, overrides, where, says):
    found = errors(*overrides)
    assert where in found, found
    assert says in found[where]


RIGHT_SEARCHES = [
    ["search.metric=validation_ndcg@10"],
    ["search.metric=validation_loss", "search.direction=minimize"],
    ["search.metric=[ndcg@10,loss]", "search.direction=[maximize,minimize]", "hydra/sweeper=hft_optuna"],
    ["search.algorithm=cmaes", "hydra/sweeper=hft_optuna"],
    ["search.reuse=warm_start", "iteration.start_from=some_run"],
    ["search=none", "search.reuse=replay", "iteration.start_from=some_run"],
    ["search=initial", "search.max_evals=null"],
    ["search=initial", "seed=0,1,2", "params.items_lr=tag(log,interval(1e-6,1e-4))"],
    ["search=none", "search.timeout=60", "params.num_fixed_layers=int(interval(0,4))"],
    ["search=text", "loss=infonce", "loss.temperature=0.05"],
]


@pytest.mark.parametrize("overrides", RIGHT_SEARCHES)
def test_a_right_search_is_not_refused(folder, overrides):
    assert errors(*overrides) == {}


def test_an_enumeration_takes_no_interval_and_says_how_to_search_one(folder):
    found = errors("params.items_lr=interval(0,1)", "seed=1,2")["params.items_lr=interval(0,1)"]
    assert "takes no interval" in found
    assert "search=NAME" in found


@pytest.mark.parametrize("multirun", [False, None, True])
def test_a_space_that_cannot_be_read_is_refused_whatever_runs(folder, multirun):
    assert "search.space.params.margin" in of_space("{params.margin:[]}", multirun=multirun)


def test_a_single_run_needs_no_space_and_no_budget(folder):
    assert errors("search=none", multirun=False) == {}
    assert errors("search=none", multirun=None) == {}
    assert "search.space.params.margim" not in of_space("{params.margim:[1]}", multirun=False)


def test_an_enumeration_does_not_look_at_the_default_space(folder):
    assert errors("seed=1,2", "+search.space.params.margim=[1]") == {}


@pytest.mark.parametrize("key", ["params.margim", "params:\n    margim"])
def test_an_error_of_a_users_space_names_the_file_and_the_line(write, key):
    write("conf/search/mine.yaml", f"defaults: [none, _self_]\nspace:\n  {key}: [0.1]\nmax_evals: 3\n")
    line = 2 + len(key.splitlines())
    assert f"set in conf/search/mine.yaml:{line}" in errors("search=mine")["search.space.params.margim"]


def test_a_direction_against_the_metric_of_a_search_is_warned_of(folder):
    report = check(["search.metric=validation_loss"])
    assert [warning.where for warning in report.warnings] == ["search.direction"]


def test_a_debugging_search_is_short_whatever_the_space_says(folder):
    assert compose(["trainer=debug", "search=broad"]).search.max_evals <= 3
    assert compose(["trainer=debug", "search=broad", "search.max_evals=7"]).search.max_evals == 7


def test_no_list_of_the_initial_space_holds_a_value_known_to_be_harmful(folder):
    space = shipped("initial")
    values = {p.key: p.spec.values for p in space.parameters if isinstance(p.spec, Choice)}
    assert len(values) == len(space) == 8
    assert max(values["params.items_lr"] + values["params.query_lr"]) < 1e-3
    assert min(values["params.margin"]) >= 0.01
    assert max(values["params.margin"]) <= 0.05


@pytest.mark.parametrize("name", ["initial", "text", "broad", "staged"])
def test_no_shipped_range_reaches_a_rate_that_destroys_a_pretrained_model(folder, name):
    space = shipped(name)
    for key in ("params.items_lr", "params.query_lr"):
        if key in space:
            spec = space[key].spec
            assert not isinstance(spec, Normal)
            assert max(spec.values if isinstance(spec, Choice) else [spec.high]) < 1e-3


SAMPLES = [
    (Choice((1, None)), [1, None]),
    (Integer(1, 5), [1, 5]),
    (Uniform(0.0, 1.0), [0.0, 1.0, 0.37]),
    (Uniform(0.0, 1.0, step=0.5), [0.0, 1.0, 0.5]),
    (Uniform(2.0, 2.0), [2.0, 2.0]),
    (Normal(0.0, 1.0), [0.0]),
    (Normal(0.0, 1.0, log=True), [1.0]),
]


@pytest.mark.parametrize(("spec", "values"), SAMPLES)
def test_a_range_is_checked_by_values_that_stand_for_all(spec, values):
    assert sample(spec) == values


IDLE = [
    (["params.margin"], [], {"params.margin"}),
    (["params.margin"], ["loss=margin"], set()),
    (["params.query_lr", "params.items_lr"], [], {"params.query_lr"}),
    (["params.query_lr"], ["model=minilm_two_towers"], set()),
    (["settings.gamma"], [], {"settings.gamma"}),
    (["settings.gamma"], ["scheduler=step_lr"], set()),
    (["params.negative_downsampling"], [], {"params.negative_downsampling"}),
    (["params.negative_downsampling"], ["settings.negatives=shown"], set()),
    (["params.negative_downsampling", "settings.negatives"], [], set()),
    (["params.not_irrelevant_only"], [], {"params.not_irrelevant_only"}),
    (["params.not_irrelevant_only"], ["data=beir", "data.source.folder=.", "data.source.reading=shown"], set()),
    (
        ["params.negative_downsampling", "params.not_irrelevant_only"],
        ["data=beir", "data.source.folder=.", "data.source.reading=shown"],
        set(),
    ),
]


@pytest.mark.parametrize(("keys", "overrides", "idle"), IDLE)
def test_parameters_that_change_nothing_are_told_with_the_reason(folder, keys, overrides, idle):
    found = ineffective_keys(compose(overrides), keys)
    assert set(found) == idle
    assert all(reason and not reason.startswith("is set") for reason in found.values())


def test_the_help_says_how_to_search(folder):
    told = train_help()
    assert "hft train -m search=text" in told
    assert "winner=best" in told


@pytest.mark.parametrize(
    "chosen",
    ["search=text", "search.max_evals=3", "search.seeds=[0,1]", "hydra/sweeper=hft_optuna", "hydra.sweep.dir=x"],
)
def test_a_search_without_the_flag_is_refused_with_the_command_that_searches(folder, chosen):
    report = check([chosen, "loss=margin"], multirun=False)
    [error] = report.errors
    assert str(error).endswith(f"add -m: hft train -m {shlex.join([chosen, 'loss=margin'])}")
    assert check([chosen, "loss=margin"], multirun=None).ok


def test_no_search_needs_no_flag(folder):
    assert check(["search=none"], multirun=False).ok


def test_a_default_space_that_a_small_model_cannot_search_stands_in_no_trainings_way(tiny_bert: Path) -> None:
    small = ["model=local", f"model.source={tiny_bert}"]
    unknown = check(small, multirun=None)
    assert unknown.ok
    assert [str(found) for found in unknown.warnings if "with -m: found 4" in str(found)]
    assert not check(small, multirun=False).warnings
    for searched in (check(small, multirun=True), check([*small, "search.max_evals=2"], multirun=None)):
        assert [found.where for found in searched.errors] == ["search.space.params.num_fixed_layers"]
