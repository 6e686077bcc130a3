"""Sources of sessions, the core types, splits, the click simulator and confidences. NumPy and Arrow only."""

from __future__ import annotations

from hft.data.beir import BeirFolder
from hft.data.clicks import (
    CascadeModel,
    ClickLog,
    ClickModel,
    ConfidenceCalculator,
    ConstantConfidence,
    DynamicBayesianModel,
    Evidence,
    FittedClicks,
    GivenPropensities,
    PositionBasedModel,
    RandomisedPropensities,
    Reading,
    UserBrowsingModel,
    WindowConfidence,
)
from hft.data.clicks.simulated import (
    CascadeClicks,
    DynamicBayesianClicks,
    PositionBasedClicks,
    SimulatedClicks,
    UserBrowsingClicks,
)
from hft.data.inputs import INPUTS_SCHEMA, FineTuningInput, FineTuningInputs, Labels
from hft.data.items import ITEMS_SCHEMA, ItemsSet
from hft.data.near_duplicates import query_key, query_keys
from hft.data.prepare import prepare_ranking_data
from hft.data.python_docs import PythonDocs
from hft.data.qualities import Qualities, seen_in_training
from hft.data.quarantine import Quarantine
from hft.data.ranking_data import RankingData
from hft.data.report import PreparationReport, SplitCounts
from hft.data.session_files import SessionFiles
from hft.data.simulator import ClickSimulator, JudgedListSimulator
from hft.data.source import Impressions, SessionSource, SourceData, Splitter
from hft.data.splitters import GivenSplitter, GroupSplitter, QuerySplitter
from hft.data.text_clusters import near_duplicate_clusters

__all__ = [
    "INPUTS_SCHEMA",
    "ITEMS_SCHEMA",
    "BeirFolder",
    "CascadeClicks",
    "CascadeModel",
    "ClickLog",
    "ClickModel",
    "ClickSimulator",
    "ConfidenceCalculator",
    "ConstantConfidence",
    "DynamicBayesianClicks",
    "DynamicBayesianModel",
    "Evidence",
    "FineTuningInput",
    "FineTuningInputs",
    "FittedClicks",
    "GivenPropensities",
    "GivenSplitter",
    "GroupSplitter",
    "Impressions",
    "ItemsSet",
    "JudgedListSimulator",
    "Labels",
    "PositionBasedClicks",
    "PositionBasedModel",
    "PreparationReport",
    "PythonDocs",
    "Qualities",
    "Quarantine",
    "QuerySplitter",
    "RandomisedPropensities",
    "RankingData",
    "Reading",
    "SessionFiles",
    "SessionSource",
    "SimulatedClicks",
    "SourceData",
    "SplitCounts",
    "Splitter",
    "UserBrowsingClicks",
    "UserBrowsingModel",
    "WindowConfidence",
    "near_duplicate_clusters",
    "prepare_ranking_data",
    "query_key",
    "query_keys",
    "seen_in_training",
]
