"""What people see of an evaluation and of data: tables in the terminal, pictures, report.json."""

from __future__ import annotations

from hft.reporting.data_pictures import save_data_pictures
from hft.reporting.data_tables import print_description
from hft.reporting.pictures import save_pictures
from hft.reporting.report_file import write_report
from hft.reporting.tables import print_report

__all__ = ["print_description", "print_report", "save_data_pictures", "save_pictures", "write_report"]
