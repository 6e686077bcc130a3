"""Points in time as people write them."""

from __future__ import annotations

import pytest

from hft.moments import moment_text, seconds_of


@pytest.mark.parametrize(
    ("given", "seconds"),
    [
        (1_700_000_000, 1_700_000_000.0),
        ("1700000000.5", 1_700_000_000.5),
        ("1970-01-02", 86_400.0),
        ("1970-01-01T01:00:00", 3_600.0),
        ("1970-01-01 02:00:00+01:00", 3_600.0),
        ("1970-01-01T00:00:01Z", 1.0),
        (" 1970-01-02 ", 86_400.0),
    ],
)
def test_dates_times_and_numbers_are_seconds_and_no_zone_is_utc(given, seconds):
    assert seconds_of(given) == seconds


@pytest.mark.parametrize("given", ["yesterday", "2026-13-01", "", "nan", "inf", True, "2026-02-30T00:00:00"])
def test_what_is_no_time_is_refused_with_what_is_expected(given):
    with pytest.raises(ValueError, match="expected an ISO 8601 date or time"):
        seconds_of(given)


def test_seconds_are_told_as_a_date_or_as_a_number_where_no_calendar_has_it():
    assert moment_text(86_400.0) == "1970-01-02 00:00:00"
    assert moment_text(1e18) == "1e+18"
