"""What people see of an evaluation: a table in the terminal, pictures, report.json."""

from __future__ import annotations

from hft.reporting.pictures import save_pictures
from hft.reporting.report_file import write_report
from hft.reporting.tables import print_report

__all__ = ["print_report", "save_pictures", "write_report"]
