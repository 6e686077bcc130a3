"""The journal: what is written is read back, a torn end is dropped, and nothing else is forgiven."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest

from hft.errors import ConfigError, StorageError
from hft.search import Outcome, RawValue
from hft.search.loop.journal import JOURNAL_NAME, Ask, Journal, Tell, read_events
from hft.search.loop.sweep_record import SweepRecord

ASK = Ask(0, 0, {"a": None, "b": [1, 2.5, "x=y, z"], "ü": True, "raw": RawValue("${b}")}, "engine", False, "now", 0.5)
TELL = Tell(0, Outcome("done", (0.1,), None, "0", 1.5, {"run_id": "12f1bffb"}), None, 2.0)


def written(folder, *events):
    journal = Journal(folder)
    journal.open()
    for event in events:
        journal.append(event)
    journal.close()
    return folder / JOURNAL_NAME


def test_events_are_read_back_as_they_were(tmp_path):
    written(tmp_path, ASK, TELL)
    assert read_events(tmp_path) == [ASK, TELL]
    assert isinstance(read_events(tmp_path)[0].params["raw"], RawValue)


def test_values_are_read_back_to_the_last_bit(tmp_path):
    value = 0.1 + 0.2 + 1e-17
    written(tmp_path, ASK, Tell(0, Outcome("done", (value,)), None, 1.0))
    assert read_events(tmp_path)[1].outcome.values == (value,)


def test_an_event_is_on_disk_when_append_returns(tmp_path):
    journal = Journal(tmp_path)
    journal.open()
    journal.append(ASK)
    assert read_events(tmp_path) == [ASK]
    journal.close()


def test_every_line_is_json_that_every_reader_takes(tmp_path):
    strange = {"nan": math.nan, "deep": [{"inf": math.inf}], "path": tmp_path}
    path = written(tmp_path, ASK, Tell(0, Outcome("done", (1.0,), details=strange), None, 1.0))

    def refuse(constant):
        raise AssertionError(constant)

    found = [json.loads(line, parse_constant=refuse) for line in path.read_text().splitlines()]
    assert found[1]["details"] == {"nan": None, "deep": [{"inf": None}], "path": str(tmp_path)}


def test_cut_anywhere_it_loses_the_torn_line_alone_and_goes_on_after_it(tmp_path):
    (tmp_path / "whole").mkdir()
    content = written(tmp_path / "whole", ASK, TELL).read_bytes()
    first = content.index(b"\n") + 1
    for cut in [*range(0, len(content), 7), first - 1, first, first + 1, len(content) - 1, len(content)]:
        folder = tmp_path / str(cut)
        folder.mkdir(exist_ok=True)
        (folder / JOURNAL_NAME).write_bytes(content[:cut])
        kept = [ASK, TELL][: (cut >= first) + (cut == len(content))]
        assert read_events(folder) == kept
        again = Ask(1, 0, {"x": 1}, "engine", False, "later", 3.0)
        written(folder, again)
        assert read_events(folder) == [*kept, again]


def test_a_last_line_that_was_never_filled_is_dropped(tmp_path):
    path = written(tmp_path, ASK)
    path.write_bytes(path.read_bytes() + b"\0" * 30 + b"\n")
    assert read_events(tmp_path) == [ASK]


@pytest.mark.parametrize("line", [b"not json", b'{"event": "other", "number": 1}', b'{"event": "tell"}', b"[]", b"3"])
def test_a_line_in_the_middle_that_is_no_event_is_an_error_that_names_it(tmp_path, line):
    path = written(tmp_path, ASK)
    path.write_bytes(path.read_bytes() + line + b"\n" + path.read_bytes())
    with pytest.raises(ConfigError, match=rf"{JOURNAL_NAME}: line 2 cannot be read"):
        read_events(tmp_path)


@pytest.mark.parametrize("events", [[ASK, ASK], [TELL], [ASK, TELL, TELL]])
def test_a_journal_that_contradicts_itself_is_refused(events):
    with pytest.raises(ConfigError, match="trial 0 begins or ends twice"):
        SweepRecord.of(events, (1.0,))


def test_there_is_nothing_in_a_folder_without_a_journal(tmp_path):
    assert read_events(tmp_path) == []


def test_numpys_numbers_are_read_back_as_numbers(tmp_path):
    written(tmp_path, Ask(0, 0, {"n": np.int64(4), "x": np.float32(0.5)}, "enqueued", True, "now", 0.5))
    assert read_events(tmp_path)[0].params == {"n": 4, "x": 0.5}


def test_texts_of_the_system_that_are_no_utf_8_are_read_back(tmp_path):
    ended = Tell(0, Outcome("failed", reason="broken", folder="\udcff/0"), None, 2.0)
    written(tmp_path, ASK, ended)
    assert read_events(tmp_path) == [ASK, ended]


def test_a_folder_that_vanished_is_an_error_and_not_a_lost_trial(tmp_path):
    journal = Journal(tmp_path / "sweep")
    journal.folder.mkdir()
    journal.open()
    journal.append(ASK)
    (tmp_path / "sweep").rename(tmp_path / "moved")
    with pytest.raises(StorageError, match=JOURNAL_NAME):
        journal.append(TELL)
    journal.close()
    assert read_events(tmp_path / "moved") == [ASK]


def test_whole_paths_of_an_older_hft_lead_to_where_the_sweep_lies_now(tmp_path):
    known = Tell(1, Outcome("done", (0.2,), None, "/old/outputs/line/b", 0.0), "run 12f1bffb", 3.0)
    ran = Tell(0, Outcome("done", (0.1,), None, "/old/outputs/sweeps/line/first/s/0", 1.5), None, 2.0)
    folder = tmp_path / "outputs" / "sweeps" / "line" / "first" / "s"
    folder.mkdir(parents=True)
    written(folder, known, ran)
    assert [event.outcome.folder for event in read_events(folder)] == ["../../../../line/b", "0"]
