"""Sources of sessions, the core types, splits, the click simulator and confidences. NumPy and Arrow only."""

from __future__ import annotations

from hft.data.beir import BeirFolder
from hft.data.category_files import CategoryFiles
from hft.data.clicks import ConfidenceCalculator, ConstantConfidence, WindowConfidence
from hft.data.inputs import INPUTS_SCHEMA, FineTuningInput, FineTuningInputs, Labels
from hft.data.items import ITEMS_SCHEMA, ItemsSet
from hft.data.near_duplicates import query_key, query_keys
from hft.data.picture_files import PictureFiles
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
from hft.data.text_clusters import near_duplicate_clusters

__all__ = [
    "INPUTS_SCHEMA",
    "ITEMS_SCHEMA",
    "BeirFolder",
    "CategoryFiles",
    "ClickSimulator",
    "ConfidenceCalculator",
    "ConstantConfidence",
    "FineTuningInput",
    "FineTuningInputs",
    "GivenSplitter",
    "GroupSplitter",
    "Impressions",
    "ItemsSet",
    "Labels",
    "PictureFiles",
    "PositionBasedClicks",
    "PreparationReport",
    "PythonDocs",
    "Qualities",
    "Quarantine",
    "QuerySplitter",
    "RankingData",
    "SessionFiles",
    "SessionSource",
    "SourceData",
    "SplitCounts",
    "Splitter",
    "WindowConfidence",
    "near_duplicate_clusters",
    "prepare_ranking_data",
    "query_key",
    "query_keys",
    "seen_in_training",
]
