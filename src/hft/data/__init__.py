"""Sources of sessions, the core types, splits, the click simulator and confidences. NumPy and Arrow only."""

from __future__ import annotations

from hft.data.beir import BeirFolder
from hft.data.clicks import ConfidenceCalculator, ConstantConfidence, WindowConfidence
from hft.data.conversion import (
    Converted,
    DuplicateSessions,
    DwellThreshold,
    IrrelevantSessions,
    OtherOrders,
    Robots,
    SessionConverter,
    SessionRule,
)
from hft.data.description import describe_data
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
from hft.data.simulator import ClickSimulator, PositionBasedClicks
from hft.data.source import Impressions, SessionSource, SourceData, Splitter
from hft.data.splitters import GivenSplitter, GroupSplitter, QuerySplitter
from hft.data.stratified_splitter import StratifiedSplitter
from hft.data.text_clusters import near_duplicate_clusters
from hft.data.time_splitter import TimeSplitter
from hft.data.unseen_items import UnseenItemsSplitter
from hft.data.user_splitter import UserSplitter

__all__ = [
    "INPUTS_SCHEMA",
    "ITEMS_SCHEMA",
    "BeirFolder",
    "ClickSimulator",
    "ConfidenceCalculator",
    "ConstantConfidence",
    "Converted",
    "DuplicateSessions",
    "DwellThreshold",
    "FineTuningInput",
    "FineTuningInputs",
    "GivenSplitter",
    "GroupSplitter",
    "Impressions",
    "IrrelevantSessions",
    "ItemsSet",
    "Labels",
    "OtherOrders",
    "PositionBasedClicks",
    "PreparationReport",
    "PythonDocs",
    "Qualities",
    "Quarantine",
    "QuerySplitter",
    "RankingData",
    "Robots",
    "SessionConverter",
    "SessionFiles",
    "SessionRule",
    "SessionSource",
    "SourceData",
    "SplitCounts",
    "Splitter",
    "StratifiedSplitter",
    "TimeSplitter",
    "UnseenItemsSplitter",
    "UserSplitter",
    "WindowConfidence",
    "describe_data",
    "near_duplicate_clusters",
    "prepare_ranking_data",
    "query_key",
    "query_keys",
    "seen_in_training",
]
