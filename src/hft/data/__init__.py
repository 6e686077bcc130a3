"""Sources of sessions, the core types, splits, the click simulator and confidences. NumPy and Arrow only."""

from __future__ import annotations

from hft.data.beir import BeirFolder
from hft.data.category_files import CategoryFiles
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
    preparation_for,
)
from hft.data.clicks.simulated import (
    CascadeClicks,
    DynamicBayesianClicks,
    PositionBasedClicks,
    SimulatedClicks,
    UserBrowsingClicks,
)
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
from hft.data.item_text import ItemJson, ItemTemplate, ItemText
from hft.data.items import ITEMS_SCHEMA, ItemsSet
from hft.data.near_duplicates import query_key, query_keys
from hft.data.picture_files import PictureFiles
from hft.data.prepare import prepare_ranking_data
from hft.data.python_docs import PythonDocs
from hft.data.qualities import Qualities, seen_in_training
from hft.data.quarantine import Quarantine
from hft.data.query_retriever import QueryRetriever
from hft.data.ranking_data import RankingData
from hft.data.report import PreparationReport, SplitCounts
from hft.data.session_files import SessionFiles
from hft.data.simulator import ClickSimulator, JudgedListSimulator
from hft.data.source import Impressions, SessionSource, SourceData, Splitter
from hft.data.sources.aggregated import AggregatedSource
from hft.data.sources.huggingface import HuggingFaceSessions
from hft.data.sources.sql import SqlSessions
from hft.data.sources.ubi import UbiSessions
from hft.data.splitters import GivenSplitter, GroupSplitter, QuerySplitter
from hft.data.stratified_splitter import StratifiedSplitter
from hft.data.text_clusters import near_duplicate_clusters
from hft.data.text_normalizer import FieldsNormalizer, TextNormalizer
from hft.data.time_splitter import TimeSplitter
from hft.data.unseen_items import UnseenItemsSplitter
from hft.data.user_splitter import UserSplitter

__all__ = [
    "INPUTS_SCHEMA",
    "ITEMS_SCHEMA",
    "AggregatedSource",
    "BeirFolder",
    "CascadeClicks",
    "CascadeModel",
    "CategoryFiles",
    "ClickLog",
    "ClickModel",
    "ClickSimulator",
    "ConfidenceCalculator",
    "ConstantConfidence",
    "Converted",
    "DuplicateSessions",
    "DwellThreshold",
    "DynamicBayesianClicks",
    "DynamicBayesianModel",
    "Evidence",
    "FieldsNormalizer",
    "FineTuningInput",
    "FineTuningInputs",
    "FittedClicks",
    "GivenPropensities",
    "GivenSplitter",
    "GroupSplitter",
    "HuggingFaceSessions",
    "Impressions",
    "IrrelevantSessions",
    "ItemJson",
    "ItemTemplate",
    "ItemText",
    "ItemsSet",
    "JudgedListSimulator",
    "Labels",
    "OtherOrders",
    "PictureFiles",
    "PositionBasedClicks",
    "PositionBasedModel",
    "PreparationReport",
    "PythonDocs",
    "Qualities",
    "Quarantine",
    "QueryRetriever",
    "QuerySplitter",
    "RandomisedPropensities",
    "RankingData",
    "Reading",
    "Robots",
    "SessionConverter",
    "SessionFiles",
    "SessionRule",
    "SessionSource",
    "SimulatedClicks",
    "SourceData",
    "SplitCounts",
    "Splitter",
    "SqlSessions",
    "StratifiedSplitter",
    "TextNormalizer",
    "TimeSplitter",
    "UbiSessions",
    "UnseenItemsSplitter",
    "UserBrowsingClicks",
    "UserBrowsingModel",
    "UserSplitter",
    "WindowConfidence",
    "describe_data",
    "near_duplicate_clusters",
    "preparation_for",
    "prepare_ranking_data",
    "query_key",
    "query_keys",
    "seen_in_training",
]
