"""Parts of a config that do not go together are refused; what has no effect is warned of, and only where it is set."""

from __future__ import annotations

import ast
import inspect

import pytest
from omegaconf import OmegaConf

from hft.config import check, check_config, compose
from hft.config.crosschecks import OF_IRRELEVANT_SESSIONS
from hft.config.trainer_flags import OWNED


def errors(*overrides: str) -> dict[str, str]:
    """Text of each error, by where it is."""
    return {finding.where: str(finding) for finding in check(overrides).errors}


def warnings(*overrides: str) -> dict[str, str]:
    """Text of each warning, by where it is, of a request without errors."""
    report = check(overrides)
    assert report.ok, report.text()
    return {finding.where: str(finding) for finding in report.warnings}


# A curriculum


@pytest.mark.parametrize("code", [3, 6, 9, 10])
def test_a_code_of_irrelevant_sessions_is_refused_while_they_are_left_out(folder, code):
    order = f"params.examples_order=[11,{code}]"
    found = errors(order, "settings.num_epochs=2")
    assert set(found) == {"params.examples_order"}
    assert f"found {code}" in found["params.examples_order"]
    assert "params.not_irrelevant_only=false" in found["params.examples_order"]
    assert errors(order, "settings.num_epochs=2", "params.not_irrelevant_only=false") == {}


def test_the_codes_of_irrelevant_sessions_are_those_of_the_training():
    from hft.training import ExamplesType

    named = {kind.value for kind in ExamplesType if kind.name.endswith("NEGATIVE") or kind.name == "NEGATIVE_ONLY"}
    assert named == OF_IRRELEVANT_SESSIONS


@pytest.mark.parametrize(
    ("order", "epochs", "left_out"), [([4, 1, 11], 1, [1, 11]), ([4, 1, 11], 2, [11]), ([4, 1, 7, 11], 2, [1, 11])]
)
def test_codes_that_no_epoch_reaches_are_told(folder, order, epochs, left_out):
    from hft.training.pairs import stage_of_epoch

    run = {stage_of_epoch(order, epoch, epochs).value for epoch in range(epochs)}
    assert set(order) - run == set(left_out)
    found = warnings(f"params.examples_order={order}".replace(" ", ""), f"settings.num_epochs={epochs}")
    assert set(found) == {"params.examples_order"}
    assert f": {', '.join(map(str, left_out))}\n" in found["params.examples_order"]


def test_as_many_epochs_as_codes_are_fine(folder):
    assert warnings("params.examples_order=[4,11]", "settings.num_epochs=2") == {}


# What has no effect


def test_downsampling_is_warned_of_where_no_shown_negative_is_used(folder):
    found = warnings("params.negative_downsampling=0.5")
    assert set(found) == {"params.negative_downsampling"}
    assert "settings.negatives=in_batch" in found["params.negative_downsampling"]
    assert set(warnings("params.negative_downsampling=1.0")) == {"params.negative_downsampling"}
    assert warnings("params.negative_downsampling=0.5", "settings.negatives=both") == {}
    assert warnings("params.negative_downsampling=0.5", "params.not_irrelevant_only=false") == {}


def test_confidences_of_negatives_are_warned_of_where_the_loss_ignores_them(folder):
    found = warnings("data/clicks=window")
    assert set(found) == {"data.clicks"}
    assert "only the confidences of positives count" in found["data.clicks"]
    assert set(warnings("data/clicks=window", "settings.negatives=shown")) == {"data.clicks"}
    assert warnings("data/clicks=window", "loss=prob_margin", "settings.negatives=shown") == {}


def test_a_click_model_counts_under_every_loss_but_for_what_it_says_of_negatives(folder):
    assert warnings("data/clicks=position_based") == {}
    found = warnings("data/clicks=ubm", "data.clicks.weighting=pairwise")
    assert set(found) == {"data.clicks.weighting"}
    assert (
        warnings("data/clicks=ubm", "data.clicks.weighting=pairwise", "loss=margin", "settings.negatives=shown") == {}
    )


@pytest.mark.parametrize(
    ("override", "advice"),
    [
        ("confidence=constant", "write data/clicks=naive"),
        ("confidence=window", "write data/clicks=window"),
        ("confidence.floor=0.2", "write data.clicks.floor"),
    ],
)
def test_the_old_name_of_the_group_says_the_new_one(folder, override, advice):
    found = errors(override)
    assert list(found) == [override]
    assert "the group confidence is now called data/clicks" in found[override]
    assert advice in found[override]


def test_an_old_file_is_told_the_new_name_of_the_group(folder):
    (folder / "conf" / "experiment").mkdir(parents=True)
    file = folder / "conf" / "experiment" / "old.yaml"
    file.write_text("# @package _global_\ndefaults:\n  - override /confidence: constant\n")
    ((where, text),) = errors("experiment=old").items()
    assert where.endswith("old.yaml:3")
    assert "write: override /data/clicks: naive" in text


def test_only_infonce_ignores_the_confidences_of_negatives():
    import torch

    import hft.losses
    from hft.losses import FineTuningFeatures, FineTuningLoss

    def features(confidence: float) -> FineTuningFeatures:
        ranks = torch.tensor([0.3, 0.3, 0.1, 0.1])
        return FineTuningFeatures(
            positive_ranks=ranks,
            negative_ranks=torch.tensor([0.1, 0.29, 0.1, 0.12]),
            positive_confidences=torch.ones(4),
            negative_confidences=torch.tensor([1.0, confidence, 1.0, 1.0]),
            target=torch.ones(4),
            positive_index=torch.tensor([0, 0, 1, 1]),
            num_positives=2,
            margin=0.05,
            is_irrelevant=torch.zeros(4, dtype=torch.bool),
        )

    losses = [getattr(hft.losses, name) for name in hft.losses.__all__ if name.endswith("Loss")]
    for kind in losses:
        if inspect.isclass(kind) and issubclass(kind, FineTuningLoss) and kind is not FineTuningLoss:
            loss = kind()
            assert bool(loss(features(1.0)) == loss(features(0.2))) is kind.ignores_negative_confidences, kind


def test_a_flag_for_sessions_without_events_is_warned_of_where_they_are_simulated(folder):
    flag = "data.no_event_is_irrelevant=true"
    assert set(warnings(flag)) == {"data.no_event_is_irrelevant"}
    assert set(warnings(flag, "data=beir", "data.source.folder=.")) == {"data.no_event_is_irrelevant"}
    assert warnings(flag, "data=beir", "data.source.folder=.", "data.source.reading=shown") == {}


def test_a_knob_of_simulated_clicks_is_warned_of_where_labels_are_learned_from(folder):
    collection = ["data=beir", "data.source.folder=."]
    for knob in ("data.source.sessions_per_query=5", "data.source.ranker_noise=0.2"):
        assert set(warnings(knob, *collection)) == {knob.partition("=")[0]}
        assert warnings(knob, *collection, "data.source.reading=simulated") == {}


def test_an_argument_that_is_no_more_is_told_what_took_its_place(folder):
    found = check(["data=sessions", "data.source.sessions=a", "data.source.items=b", "+data.source.events_as=weights"])
    told = [str(error) for error in found.errors if "events_as" in str(error)]
    assert len(told) == 1
    assert "data.source.fields.weights=NAME_OF_THE_FIELD" in told[0]


# Flags of the trainer


@pytest.mark.parametrize(
    ("override", "key"),
    [
        ("+trainer.val_check_interval=10", "settings.test_each_n_inputs"),
        ("+trainer.check_val_every_n_epoch=2", "settings.test_each_n_inputs"),
        ("+trainer.limit_val_batches=0", "data.validation_pool"),
        ("+trainer.num_sanity_val_steps=2", "hft validates the starting model"),
        ("+trainer.logger=true", "tracking=local"),
        ("+trainer.inference_mode=true", "leave the flag out"),
        ("+trainer.enable_model_summary=true", "leave the flag out"),
        ("+trainer.use_distributed_sampler=true", "leave the flag out"),
        ("+trainer.fast_dev_run=true", "trainer=debug"),
    ],
)
def test_a_flag_that_hft_sets_is_refused_with_the_key_to_use(folder, override, key):
    where = override.partition("=")[0].removeprefix("+")
    found = errors(override)
    assert set(found) == {where}
    assert "hft sets this flag itself" in found[where]
    assert key in found[where]


@pytest.mark.parametrize("override", ["+trainer.logger=false", "+trainer.limit_val_batches=1.0"])
def test_a_flag_that_changes_nothing_of_hfts_is_not_refused(folder, override):
    assert "hft sets this flag itself" not in str(errors(override))


def test_every_flag_that_the_run_overwrites_is_refused():
    from hft.running import assembly

    tree = ast.parse(inspect.getsource(assembly.trainer_of))
    [given] = [node for node in ast.walk(tree) if isinstance(node, ast.Dict)]
    overwritten = {key.value for key in given.keys if isinstance(key, ast.Constant)}
    # Resolved from the config's own value, joined with it, or drawn by hft where the config asks for it.
    taken_over = {"precision", "accelerator", "plugins", "enable_progress_bar"}
    assert overwritten - taken_over <= set(OWNED)


def test_the_epochs_of_the_trainer_are_those_of_the_settings(folder):
    for override in ("trainer.max_epochs=5", "trainer.max_epochs=null", "trainer.max_epochs=-1", "~trainer.max_epochs"):
        found = errors(override)
        assert set(found) == {"trainer.max_epochs"}, override
        assert "set settings.num_epochs" in found["trainer.max_epochs"]
    assert errors("settings.num_epochs=5") == {}
    assert errors("settings.num_epochs=5", "trainer.max_epochs=5") == {}


def test_no_step_at_all_is_refused(folder):
    assert "hft evaluate" in errors("trainer.max_steps=0")["trainer.max_steps"]
    assert errors("trainer.max_steps=3") == {}


# Metrics


@pytest.mark.parametrize("name", ["not_irrelevant_dist_shift", "irrelevant_dist_shift"])
def test_a_metric_that_compares_with_the_start_cannot_judge_a_run(folder, name):
    found = errors(f"method.main_metric={name}")
    assert set(found) == {"method.main_metric"}
    assert "allowed: ndcg@10, mrr@10, recall@10, map@10, precision@10" in found["method.main_metric"]


def test_metrics_without_a_ranking_metric_are_refused(folder):
    without = [f"~metrics.calculators.{name}" for name in ("ndcg", "mrr", "recall", "map", "precision")]
    found = errors(*without)
    assert set(found) == {"metrics.calculators"}
    assert "at least one ranking metric" in found["metrics.calculators"]


def test_a_metric_of_ones_own_is_left_to_the_run(folder, write):
    write("my_metrics.py", "class Mine:\n    @property\n    def name(self):\n        return 'mine'\n")
    assert errors("+metrics.calculators.mine={_target_:my_metrics.Mine}", "method.main_metric=mine") == {}


def test_a_config_of_which_parts_are_missing_gets_a_report_and_no_traceback(folder):
    config = compose()
    OmegaConf.set_struct(config, False)
    for node in ("trainer", "metrics", "params", "settings", "data", "loss", "model"):
        partial = config.copy()
        del partial[node]
        assert not check_config(partial).ok


@pytest.mark.parametrize(
    ("overrides", "warned"),
    [
        (["settings.part_ranks=mean"], ["settings.part_ranks"]),
        (["data/item_splitter=sentences", "settings.part_ranks=mean"], []),
        (["data/item_splitter=sentences", "settings.part_temperature=0.1"], ["settings.part_temperature"]),
        (["data/item_splitter=sentences", "settings.part_ranks=softmax", "settings.part_temperature=0.1"], []),
    ],
)
def test_how_ranks_of_parts_are_made_one_needs_parts(overrides, warned):
    assert [finding.where for finding in check(overrides).warnings] == warned


@pytest.mark.parametrize(
    ("overrides", "found"),
    [
        (["data=python_docs"], {"data.source": "choose data=pictures"}),
        (["data=pictures", "data.source.folder=."], {}),
        (["data=pictures", "data.source.folder=.", "data/augmentation=typos"], {}),
        (
            ["data=pictures", "data.source.folder=.", "data/augmentation=words"],
            {"data.augmentation.items": "write data.augmentation.items=null"},
        ),
        (
            ["data=pictures", "data.source.folder=.", "data/item_splitter=sentences"],
            {"data.item_splitter": "pictures, which have no parts"},
        ),
    ],
)
def test_a_method_for_pictures_needs_pictures_and_takes_nothing_of_texts(folder, overrides, found):
    told = errors("method=default", *overrides)
    assert set(told) == set(found)
    assert all(found[where] in told[where] for where in found)
