"""What becomes of sessions once they are read: rules, one after the other, each of which counts what it does."""

from __future__ import annotations

from hft.data.conversion.converter import SessionConverter
from hft.data.conversion.dwell import DwellThreshold
from hft.data.conversion.irrelevant import IrrelevantSessions
from hft.data.conversion.orders import OtherOrders
from hft.data.conversion.repeats import DuplicateSessions
from hft.data.conversion.robots import Robots
from hft.data.conversion.rule import Converted, SessionRule

__all__ = [
    "Converted",
    "DuplicateSessions",
    "DwellThreshold",
    "IrrelevantSessions",
    "OtherOrders",
    "Robots",
    "SessionConverter",
    "SessionRule",
]
