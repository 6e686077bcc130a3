"""Which `_target_`s a config from elsewhere may run.

Building a `_target_` calls it with arguments of the config, so a record or config from elsewhere could call anything.
What it may call without being asked for is listed here, one name at a time and each at its own node: nothing is
trusted for the package or the class that it is found in. Beside these, a class that this very user has trained with may
stand where it stood then, as long as its source is the same (hft.config.trained_sources).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from hft.config.report import first_line
from hft.config.trained_sources import was_trained_with
from hft.config.tree import join, refers_to_keys_only
from hft.errors import ConfigError

# Any key of a node.
ANY = "*"


def _in(package: str, names: str) -> frozenset[str]:
    return frozenset(f"{package}.{name}" for name in names.split())


# Queries of SqlSessions are asked in read-only transactions.
_SOURCES = "SessionFiles BeirFolder SqlSessions HuggingFaceSessions UbiSessions CategoryFiles PictureFiles"
_SPLITTERS = "SentenceSplitter SeparatorSplitter RegexSplitter JsonFieldSplitter TokenGroupTextSplitter"
_AUGMENTERS = "ChangeCases Misspellings WordDrop Synonyms"

# For each node that hft builds, what may stand there. None of these writes a file or runs code when it is built.
TRUSTED: dict[tuple[str, ...], frozenset[str]] = {
    ("method",): _in("hft.methods", "EmbeddingsMethod CategoriesTextFineTuningMethod DefaultFineTuningMethod"),
    ("model",): _in("hft.models", "load_text_model build_clip load_clip"),
    ("technique",): _in("hft.techniques", "FullFineTuning"),
    ("loss",): _in("hft.losses", "InfoNCELoss MarginRankingLoss ProbMarginRankingLoss CosineProbMarginRankingLoss"),
    ("ranker",): _in("hft.models", "CosineRanker DotRanker EuclideanRanker"),
    ("optimizer",): _in(
        "torch.optim",
        "Adadelta Adafactor Adagrad Adam AdamW Adamax ASGD LBFGS NAdam RAdam RMSprop Rprop SGD SparseAdam",
    ),
    ("scheduler",): _in("hft.training", "constant_rate linear_warmup cosine_warmup")
    | _in(
        "torch.optim.lr_scheduler",
        "StepLR MultiStepLR ConstantLR LinearLR ExponentialLR PolynomialLR CosineAnnealingLR "
        "CosineAnnealingWarmRestarts CyclicLR OneCycleLR",
    ),
    ("metrics", "calculators", ANY): _in(
        "hft.metrics", "Accuracy MAP MRR NDCG Precision Recall NotIrrelevantDistShift IrrelevantDistShift"
    ),
    ("data", "splitter"): _in(
        "hft.data",
        "QuerySplitter GroupSplitter GivenSplitter TimeSplitter UserSplitter UnseenItemsSplitter StratifiedSplitter",
    ),
    ("data", "converter"): _in("hft.data", "SessionConverter"),
    ("data", "converter", "rules", ANY): _in(
        "hft.data", "Robots DuplicateSessions OtherOrders DwellThreshold IrrelevantSessions"
    ),
    ("data", "source"): _in("hft.data", f"{_SOURCES} PythonDocs AggregatedSource parts.JoinedParts"),
    ("data", "source", "sources", ANY): _in("hft.data", _SOURCES),
    ("data", "source", "source"): _in("hft.data", "SessionFiles BeirFolder"),
    ("data", "source", "query_retriever"): _in("hft.data", "QueryRetriever"),
    ("data", "source", "normalizer"): _in("hft.data", "FieldsNormalizer"),
    ("data", "source", "item_text"): _in("hft.data", "ItemTemplate ItemJson"),
    ("data", "item_splitter"): _in("hft.data.parts", _SPLITTERS),
    ("data", "augmentation"): _in("hft.data.augmentation", "Augmentation"),
    ("data", "augmentation", ANY): _in("hft.data.augmentation", f"{_AUGMENTERS} Composition"),
    ("data", "augmentation", ANY, "steps", ANY): _in("hft.data.augmentation", _AUGMENTERS),
    ("data", "source", "clicks"): _in(
        "hft.data", "PositionBasedClicks CascadeClicks DynamicBayesianClicks UserBrowsingClicks"
    ),
    ("data", "clicks"): _in(
        "hft.data",
        "ConstantConfidence WindowConfidence PositionBasedModel GivenPropensities RandomisedPropensities CascadeModel "
        "DynamicBayesianModel UserBrowsingModel",
    ),
    ("trainer",): _in("pytorch_lightning", "Trainer"),
}


def check_trusted(config: DictConfig, extra: Sequence[str] = (), *, resolvers: bool = False) -> DictConfig:
    """Refuse a config from elsewhere that could run code outside the allow-list.

    Args:
        config: the config as it came.
        extra: more targets, or packages and modules with all that is in them, that the user trusts (`--trust`).
        resolvers: whether `${oc.env:NAME}` and its like may be answered. Only where none of them came from
            elsewhere: they read what is here, an environment variable for example.

    Returns:
        The config with every reference followed. Use this one: what was checked is what runs.

    Raises:
        ConfigError: a target that is not trusted, a `hydra` node, a resolver, or a reference that cannot be followed.
    """
    if "hydra" in config:
        raise ConfigError(
            "hydra: a config from elsewhere may not configure Hydra itself (it loads plugins and callbacks). "
            "Remove the node `hydra`."
        )
    if not resolvers:
        _refuse_resolvers(config)
    try:
        values = OmegaConf.to_container(config, resolve=True, throw_on_missing=False)
    except (OmegaConfBaseException, ValueError, TypeError) as error:
        raise ConfigError(
            f"config: a reference cannot be followed, so the config cannot be trusted: {first_line(error)}"
        ) from error
    for path, node in _nodes(values):
        _require_trusted(path, node, extra)
    for path, value in _walk(values):
        if isinstance(value, str) and "${" in value:
            raise ConfigError(
                f"{_dotted(path)}: found {value!r}, a reference that would be followed only later. "
                "A config from elsewhere may not hide what it runs."
            )
    return OmegaConf.create(values)  # type: ignore[return-value]  # a mapping makes a DictConfig


def is_trusted(path: Sequence[str], target: str, extra: Sequence[str] = ()) -> bool:
    """Whether a config from elsewhere may run `target` at a node.

    Args:
        path: keys that lead to the node: `("data", "source")`.
        target: the node's `_target_`.
        extra: as in `check_trusted`; trusted at every node.
    """
    return _is_extra(target, extra) or any(
        target in names for node, names in TRUSTED.items() if _matches(node, tuple(path))
    )


def own_classes(config: DictConfig) -> list[tuple[tuple[str, ...], str]]:
    """Keys and `_target_` of every node whose class is not on the list of what any config may run there."""
    found = [(path, str(node["_target_"])) for path, node in _nodes(OmegaConf.to_container(config, resolve=True))]
    return [(path, target) for path, target in found if not is_trusted(path, target)]


def _require_trusted(path: tuple[str, ...], node: dict[str, Any], extra: Sequence[str]) -> None:
    target = node["_target_"]
    if not isinstance(target, str) or not (is_trusted(path, target, extra) or was_trained_with(path, target)):
        raise ConfigError(
            f"{_dotted((*path, '_target_'))}: found {target}, which is not on the list of what a config from elsewhere "
            f"may run there. If you know it and trust it, say so: --trust {target}"
        )
    if "_args_" in node and not _is_extra(target, extra):
        raise ConfigError(
            f"{_dotted((*path, '_args_'))}: a config from elsewhere may give arguments only by name, so that the check "
            f"sees what each one is. If you know it and trust it, say so: --trust {target}"
        )


def _refuse_resolvers(config: DictConfig) -> None:
    for path, value in _walk(OmegaConf.to_container(config, resolve=False)):
        if isinstance(value, str) and not refers_to_keys_only(value):
            raise ConfigError(
                f"{_dotted(path)}: found {value!r}. A config from elsewhere may refer to its own keys, ${{seed}} for "
                "example, and to nothing else: such an expression reads what is here, an environment variable for one. "
                "Write the value itself there."
            )


def _is_extra(target: str, extra: Sequence[str]) -> bool:
    return any(target == name or target.startswith(f"{name}.") for name in extra)


def _matches(node: tuple[str, ...], path: tuple[str, ...]) -> bool:
    return len(node) == len(path) and all(key in (ANY, part) for key, part in zip(node, path, strict=True))


def _nodes(values: Any) -> Iterator[tuple[tuple[str, ...], dict[str, Any]]]:
    """Every node with a `_target_`, of whatever type, at whatever depth."""
    for path, value in _walk(values):
        if isinstance(value, dict) and "_target_" in value:
            yield path, value


def _walk(value: Any, path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], Any]]:
    """Every value at whatever depth, with the keys that lead to it."""
    yield path, value
    if isinstance(value, dict):
        for name, child in value.items():
            yield from _walk(child, (*path, str(name)))
    elif isinstance(value, list):
        for position, child in enumerate(value):
            yield from _walk(child, (*path, str(position)))


def _dotted(path: tuple[str, ...]) -> str:
    dotted = ""
    for key in path:
        dotted = join(dotted, key)
    return dotted
