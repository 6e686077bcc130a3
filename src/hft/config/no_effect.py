"""Warnings of what was set and has no effect beside the rest of the config."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from omegaconf import DictConfig, OmegaConf

from hft.config.report import CheckReport, Finding
from hft.config.targets import TargetChecker
from hft.config.tree import ConfigTree, lookup, plain_tree

# What a shared tower does not use: it has the items tower's rate and decay.
_OF_THE_QUERY_TOWER = ("query_lr", "query_weight_decay")

# Of data/clicks: what says nothing of positives beside what it says of negatives.
_OF_CONFIDENCES_ALONE = ("WindowConfidence",)

# What `settings` holds for schedulers that refer to it, and no other.
_OF_A_SCHEDULER = ("step_size", "gamma")

# What a warning begins with; `ineffective_keys` leaves it out.
_IS_SET = "is set, but "

# Sources whose sessions all have known relevance, with the argument and its values under which they have.
_KNOWS_RELEVANCE: dict[str, tuple[str, tuple[str, ...]] | None] = {
    "hft.data.PythonDocs": None,
    "hft.data.BeirFolder": ("reading", ("labels", "simulated")),
}
# What says how clicks on a collection are simulated, and the readings under which they are.
_OF_SIMULATED_CLICKS = {
    "results_per_session": ("simulated",),
    "ranker_noise": ("simulated",),
    **dict.fromkeys(
        ("sessions_per_query", "eta", "click_probability", "false_click_probability", "clicks"), ("simulated", "judged")
    ),
}


@dataclass(frozen=True)
class _Request:
    """A config, and how to tell what of it was asked for.

    Args:
        tree: the config.
        named: dotted keys that the user named on the command line.
        defaults: the values of the shipped train.yaml.
    """

    tree: ConfigTree
    named: set[str]
    defaults: dict[str, Any]

    def is_set(self, key: str) -> bool:
        """Whether a key was named, or differs from what is shipped."""
        if key in self.named:
            return True
        try:
            return bool(self.tree.get(key) != lookup(self.defaults, key))
        except KeyError:
            return False


def warn_of_no_effect(
    tree: ConfigTree, checker: TargetChecker, named: set[str], defaults: dict[str, Any], report: CheckReport
) -> None:
    """Warn of each value that was set and changes nothing.

    Args:
        tree: the config.
        checker: reads targets.
        named, defaults: as in hft.config.crosschecks.cross_check.
        report: gets the warnings.
    """
    request = _Request(tree, named, defaults)
    _of_loss_and_method(request, checker, report)
    _of_a_shared_tower(request, checker, report)
    _of_another_scheduler(request, report)
    _of_parts(request, report)
    _of_the_curriculum(tree, report)
    _of_shown_negatives(request, report)
    _of_confidences(tree, checker, report)
    _of_known_relevance(tree, checker, report)
    _of_a_collection(request, checker, report)


def ineffective_keys(config: DictConfig, keys: Iterable[str], checker: TargetChecker | None = None) -> dict[str, str]:
    """Which of some keys change nothing beside the rest of a config, each with the reason.

    Args:
        config: composed, with or without Hydra's own node. Reasons hold as long as its groups stay as they are.
        keys: dotted keys, such as those of a search space.
        checker: reads targets; one is made where none is given.
    """
    report, checker = CheckReport(), checker or TargetChecker()
    # `hydra` is out of reach: its references have values only inside of a job.
    tree = plain_tree(OmegaConf.masked_copy(config, [str(key) for key in config if key != "hydra"]))
    request = _Request(tree, set(keys), {})
    _of_loss_and_method(request, checker, report)
    _of_a_shared_tower(request, checker, report)
    _of_another_scheduler(request, report)
    _of_parts(request, report)
    found = {f.where: f.found.removeprefix(_IS_SET) for f in report.warnings if f.where in request.named}
    irrelevant, downsampling = "params.not_irrelevant_only", "params.negative_downsampling"
    none_is_irrelevant = _source_of_known_relevance(tree, checker) is not None
    if irrelevant in request.named and none_is_irrelevant:
        found[irrelevant] = f"{_source_of_known_relevance(tree, checker)} has no irrelevant sessions"
    only_in_batch = tree.get("settings.negatives") == "in_batch" and "settings.negatives" not in request.named
    only_relevant = tree.get(irrelevant) is True and irrelevant not in request.named
    if downsampling in request.named and only_in_batch and (only_relevant or none_is_irrelevant):
        found[downsampling] = "no shown negative is used (settings.negatives=in_batch)"
    return found


def _of_loss_and_method(request: _Request, checker: TargetChecker, report: CheckReport) -> None:
    for part in ("loss", "method"):
        node = request.tree.get(part)
        for name in sorted(checker.constant_of(node, "ignores") or ()):
            if request.is_set(f"params.{name}"):
                _warn(report, f"params.{name}", f"{_IS_SET}the {part} {node['_target_']} ignores it")


def _of_a_shared_tower(request: _Request, checker: TargetChecker, report: CheckReport) -> None:
    if checker.argument(request.tree.get("model"), "shared") is not True:
        return
    for name in _OF_THE_QUERY_TOWER:
        if request.is_set(f"params.{name}"):
            _warn(
                report,
                f"params.{name}",
                f"{_IS_SET}the towers are shared (model.shared) and the query tower has no weights of its own",
                f"set params.{name.replace('query', 'items')}, which a shared tower uses",
            )


def _of_another_scheduler(request: _Request, report: CheckReport) -> None:
    for name in _OF_A_SCHEDULER:
        key = f"settings.{name}"
        if request.is_set(key) and not request.tree.refers_to(key):
            scheduler = request.tree.get("scheduler._target_")
            found = f"{_IS_SET}the scheduler {scheduler} ignores it"
            _warn(report, key, found, "use scheduler=step_lr, or leave it")


def _of_parts(request: _Request, report: CheckReport) -> None:
    """How ranks of parts are made one takes effect where there are parts."""
    ranks, temperature = "settings.part_ranks", "settings.part_temperature"
    if request.tree.get("data.item_splitter") is None:
        for key in (ranks, temperature):
            if request.is_set(key):
                found = f"{_IS_SET}items are not in parts (data.item_splitter)"
                _warn(report, key, found, "choose data/item_splitter=token_groups, or leave it")
    elif request.is_set(temperature) and ranks not in request.named and request.tree.get(ranks) != "softmax":
        _warn(report, temperature, f"{_IS_SET}settings.part_ranks is no softmax", "set settings.part_ranks=softmax")


def _of_the_curriculum(tree: ConfigTree, report: CheckReport) -> None:
    """With fewer epochs than codes, some codes have no epoch (hft.training.pairs.stage_of_epoch)."""
    order, epochs = tree.get("params.examples_order"), tree.get("settings.num_epochs")
    if not isinstance(order, list) or type(epochs) is not int or not 1 <= epochs < len(order):
        return
    reached = {epoch * len(order) // epochs for epoch in range(epochs)}
    left_out = [str(code) for stage, code in enumerate(order) if stage not in reached]
    _warn(
        report,
        "params.examples_order",
        f"found {len(order)} codes for {epochs} {'epoch' if epochs == 1 else 'epochs'} (settings.num_epochs), "
        f"so that {'this one never runs' if len(left_out) == 1 else 'these never run'}: {', '.join(left_out)}",
        f"write settings.num_epochs={len(order)} or a multiple of it, or fewer codes",
    )


def _of_shown_negatives(request: _Request, report: CheckReport) -> None:
    tree, key = request.tree, "params.negative_downsampling"
    only_in_batch = tree.get("settings.negatives") == "in_batch" and tree.get("params.not_irrelevant_only") is True
    if only_in_batch and request.is_set(key):
        _warn(
            report,
            key,
            f"{_IS_SET}no shown negative is used (settings.negatives=in_batch, params.not_irrelevant_only=true)",
            "write settings.negatives=shown or both, or leave it",
        )


def _of_confidences(tree: ConfigTree, checker: TargetChecker, report: CheckReport) -> None:
    clicks = tree.get("data.clicks")
    target = clicks.get("_target_") if isinstance(clicks, dict) else None
    if not isinstance(target, str):
        return
    # What a click model says of positives counts under every loss.
    is_rule = target.rpartition(".")[2] in _OF_CONFIDENCES_ALONE
    is_pairwise = checker.argument(clicks, "weighting") == "pairwise"
    loss = tree.get("loss")
    if (is_rule or is_pairwise) and checker.constant_of(loss, "ignores_negative_confidences") is True:
        _warn(
            report,
            "data.clicks.weighting" if is_pairwise else "data.clicks",
            f"found {'pairwise' if is_pairwise else target}, but under the loss {loss['_target_']} only the "
            "confidences of positives count",
            "for those of negatives too: loss=prob_margin settings.negatives=shown",
        )


def _of_known_relevance(tree: ConfigTree, checker: TargetChecker, report: CheckReport) -> None:
    key, target = "data.no_event_is_irrelevant", _source_of_known_relevance(tree, checker)
    if tree.get(key) is True and target is not None:
        found = f"{_IS_SET}the relevance of {target}'s sessions is known, and none of them is irrelevant"
        _warn(report, key, found, "leave it")


def _source_of_known_relevance(tree: ConfigTree, checker: TargetChecker) -> str | None:
    """The source's target where all its sessions have known relevance; None where not, or nobody can tell."""
    source = tree.get("data.source")
    target = source.get("_target_") if isinstance(source, dict) else None
    if not isinstance(target, str) or target not in _KNOWS_RELEVANCE:
        return None
    when = _KNOWS_RELEVANCE[target]
    return target if when is None or checker.argument(source, when[0]) in when[1] else None


def _of_a_collection(request: _Request, checker: TargetChecker, report: CheckReport) -> None:
    source = request.tree.get("data.source")
    if not isinstance(source, dict) or source.get("_target_") != "hft.data.BeirFolder":
        return
    reading = checker.argument(source, "reading")
    for name, readings in _OF_SIMULATED_CLICKS.items():
        key = f"data.source.{name}"
        if key in request.named and isinstance(reading, str) and reading not in readings:
            found = f"{_IS_SET}data.source.reading={reading} simulates nothing that it says"
            _warn(report, key, found, f"leave it, or learn from simulated clicks: data.source.reading={readings[0]}")


def _warn(report: CheckReport, key: str, found: str, advice: str | None = None) -> None:
    report.warnings.append(Finding(key, found, advice=advice))
