"""Pictures of a sweep: which are drawn, what stands in them, and that nothing about them ends a sweep."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.text import Text

from hft.search.hooks import SweepState
from hft.search.results.pictures.data import History, SweepView, importances
from hft.search.results.pictures.drawing import SweepPictures
from hft.search.results.pictures.figure_style import plain_texts
from hft.search.results.pictures.html_page import page
from hft.search.results.pictures.parallel_figure import draw_parallel_coordinates
from hft.search.results.pictures.png_figures import draw_front, draw_history, draw_importance, draw_slices
from hft.search.results.result_files import ResultFiles
from hft.search.results.values_as_text import wrapped
from hft.search.trial import Trial
from sweep_states import mixed_trials, sweep_state

PNG = b"\x89PNG\r\n\x1a\n"
ALL = {"history.png", "parallel_coordinates.png", "slices.png", "importance.png", "index.html"}
TWO = {"metric": ("ndcg@10", "latency_ms"), "direction": ("maximize", "minimize")}


class Clock:
    """Stands still until it is told otherwise."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def drawn(state: SweepState) -> tuple[set[str], list[str]]:
    said: list[str] = []
    return {path.name for path in SweepPictures(said.append).draw(state)}, said


def texts_of(figure: Figure) -> str:
    return "\n".join(artist.get_text() for artist in figure.findobj(Text))


def fits_the_page(figure: Figure) -> bool:
    renderer = FigureCanvasAgg(figure).get_renderer()
    figure.draw(renderer)
    found = figure.get_tightbbox(renderer)
    width, height = figure.get_size_inches()
    return bool(found.x0 >= 0 and found.y0 >= 0 and found.x1 <= width and found.y1 <= height)


def constant(folder: Path, count: int, **changes: object) -> SweepState:
    trials = [Trial(number, {"x": 0.5}, "done", values=(0.3,)) for number in range(count)]
    return sweep_state(folder, trials, {"x": {"low": 0, "high": 1}}, ended="budget", **changes)


def test_every_picture_is_drawn(tmp_path):
    state = sweep_state(tmp_path, mixed_trials(30), ended="budget")
    assert drawn(state) == (ALL, [])
    assert {path.name for path in (tmp_path / "pictures").iterdir()} == ALL
    for path in (tmp_path / "pictures").glob("*.png"):
        assert path.read_bytes().startswith(PNG)


def test_several_metrics_have_a_front(tmp_path):
    assert drawn(sweep_state(tmp_path, mixed_trials(30, 2), ended="budget", **TWO)) == (ALL | {"front.png"}, [])


@pytest.mark.parametrize("count", [0, 1, 12])
def test_trials_that_do_not_differ_have_no_importance_and_if_there_are_enough_a_note(tmp_path, count):
    names, said = drawn(constant(tmp_path, count))
    assert names == {"history.png", "index.html"} | ({"slices.png"} if count else set())
    note = "no picture of the parameters' importance: all trials have the same value"
    assert said == ([note] if count == 12 else [])


def test_a_sweep_that_only_failed_has_a_history(tmp_path):
    trials = [Trial(number, {"x": 0.5}, "failed", reason="no") for number in range(3)]
    names, _ = drawn(sweep_state(tmp_path, trials, {"x": {"low": 0, "high": 1}}, ended="failures"))
    assert names == {"history.png", "index.html"}


def test_jobs_that_return_nothing_have_no_pictures(tmp_path):
    state = sweep_state(tmp_path, [Trial(0, {"x": 1}, "done")], {"x": [1]}, is_search=False)
    assert drawn(state) == (set(), [])
    assert not (tmp_path / "pictures").exists()


@pytest.mark.parametrize("draw", [draw_history, draw_parallel_coordinates, draw_slices, draw_front])
def test_a_picture_names_its_metrics_and_fits_its_page(tmp_path, draw):
    view = SweepView.of(sweep_state(tmp_path, mixed_trials(40, 2), **TWO))
    with plain_texts():
        figure = draw(view)
        assert fits_the_page(figure)
    words = texts_of(figure).replace("\n", " ")
    for expected in ("ndcg@10", "latency_ms", "higher is better", "lower is better"):
        assert expected in words


@pytest.mark.parametrize("draw", [draw_history, draw_parallel_coordinates, draw_slices])
def test_nasty_words_are_drawn_as_they_stand(tmp_path, draw):
    words = ["$x_1^2$", "\\alpha {", "中文测试", "w" * 200, "", "a\tb", None, True, 1, 1.0, "1"]
    key = "$group$." + "very_long_name_" * 8
    trials = [Trial(n, {key: word}, "done", values=(n / 10,)) for n, word in enumerate(words)]
    state = sweep_state(tmp_path, trials, {key: words}, metric=("$m_x$",))
    with plain_texts():
        figure = draw(SweepView.of(state))
        assert fits_the_page(figure)
    assert "$m_x$" in texts_of(figure)


def test_a_conditional_parameter_is_absent_where_it_is(tmp_path):
    state = sweep_state(tmp_path, mixed_trials(30))
    view = SweepView.of(state)
    margin = next(axis for axis in view.axes if axis.key == "params.margin")
    assert [position is None for position in margin.positions] == ["params.margin" not in t.params for t in view.shown]
    assert [text == "absent" for text in margin.texts] == [position is None for position in margin.positions]
    assert "absent" in texts_of(draw_parallel_coordinates(view))
    assert "margin (where present)" in texts_of(draw_slices(view))


def test_only_the_last_stage_is_compared_and_the_history_shows_all(tmp_path):
    trials = [Trial(n, {"x": n}, "done", stage=int(n > 2), values=(0.9 if n < 3 else n / 100,)) for n in range(6)]
    state = sweep_state(tmp_path, trials, {"x": list(range(6))})
    view = SweepView.of(state)
    assert [trial.number for trial in view.shown] == [3, 4, 5]
    assert view.scope() == "3 done trials of stage 1; not shown: 3 of other stages"
    assert History.of(state, 0).best_so_far == (((0, 0.9), (1, 0.9), (2, 0.9)), ((3, 0.03), (4, 0.04), (5, 0.05)))
    assert "a new stage" in texts_of(draw_history(view))


def test_pruned_trials_stand_in_the_slices_by_their_last_report(tmp_path):
    trials = [Trial(n, {"loss": "a", "x": n / 10}, "done", values=(0.5 + n / 100,)) for n in range(3)]
    trials += [Trial(3, {"loss": "b", "x": 0.9}, "pruned", values=(0.49,)), Trial(4, {"loss": "b"}, "pruned")]
    state = sweep_state(tmp_path, trials, {"loss": ["a", "b"], "x": {"low": 0, "high": 1}})
    view = SweepView.of(state)
    assert [trial.number for trial in view.pruned] == [3, 4]
    assert [axis.of_pruned for axis in view.axes] == [(1.0, 1.0), (0.9, None)]
    assert view.axes[0].positions == (0.0, 0.0, 0.0)
    figure = draw_slices(view)
    assert "3 done trials, 2 pruned (grey, last report)" in texts_of(figure).replace("\n", " ")
    x_panel = next(axes for axes in figure.axes if axes.get_title(loc="left").startswith("x"))
    assert [0.9, 0.49] in [pytest.approx(dot) for dots in x_panel.collections for dot in dots.get_offsets().tolist()]
    assert x_panel.get_ylim()[0] < 0.49


def test_dots_of_a_choice_stand_on_their_tick(tmp_path):
    words = ["a", "b", "c"]
    trials = [Trial(n, {"x": words[n % 3], "y": n}, "done", values=(n / 100,)) for n in range(60)]
    panel = draw_slices(SweepView.of(sweep_state(tmp_path, trials, {"x": words}))).axes[0]
    low, high = panel.get_xlim()
    across = [dot[0] for dots in panel.collections for dot in dots.get_offsets().tolist()]
    assert max(abs(place - round(place)) for place in across) < 0.015 * (high - low)


def test_the_history_sorts_trials_by_what_came_of_them(tmp_path):
    trials = [*mixed_trials(15), Trial(15, {}, "pruned")]
    history = History.of(sweep_state(tmp_path, trials), 0)
    assert [trial.number for trial in history.known] == [7]
    assert [trial.number for trial in history.pruned] == [3, 8, 13]
    assert [trial.number for trial in history.stopped] == [15]
    assert [trial.number for trial in history.failed] == [4]
    assert len(history.done) == 10


def test_the_best_so_far_goes_the_wanted_way(tmp_path):
    trials = [Trial(n, {"x": n}, "done", values=(value,)) for n, value in enumerate((0.5, 0.7, 0.2, 0.6))]
    for direction, expected in (("maximize", [0.5, 0.7, 0.7, 0.7]), ("minimize", [0.5, 0.5, 0.2, 0.2])):
        state = sweep_state(tmp_path, trials, {"x": [0, 1, 2, 3]}, direction=(direction,))
        assert [value for _, value in History.of(state, 0).best_so_far[0]] == expected


def test_importance_finds_the_parameter_that_decides(tmp_path):
    trials = [
        Trial(n, {"lr": (n * 0.618) % 1, "idle": (n * 0.414) % 1}, "done", values=(-((((n * 0.618) % 1) - 0.3) ** 2),))
        for n in range(60)
    ]
    space = {name: {"low": 0, "high": 1} for name in ("lr", "idle")}
    shares = importances(SweepView.of(sweep_state(tmp_path, trials, space)))
    assert isinstance(shares, dict)
    assert list(shares) == ["lr", "idle"]
    assert shares["lr"] > 0.8
    assert sum(shares.values()) == pytest.approx(1)


def test_importance_knows_the_direction(tmp_path):
    # Low values depend on `low` alone, high ones on `high` alone.
    trials = []
    for n in range(80):
        low, high = (n * 0.618) % 1, (n * 0.414) % 1
        value = -1.0 if low < 0.15 else 1.0 if high > 0.85 else 0.0
        trials.append(Trial(n, {"low": low, "high": high}, "done", values=(value,)))
    space = {name: {"low": 0, "high": 1} for name in ("low", "high")}
    for direction, expected in (("minimize", "low"), ("maximize", "high")):
        shares = importances(SweepView.of(sweep_state(tmp_path, trials, space, direction=(direction,))))
        assert max(shares, key=shares.__getitem__) == expected


def test_importance_is_drawn_with_its_shares(tmp_path):
    view = SweepView.of(sweep_state(tmp_path, mixed_trials(30)))
    shares = importances(view)
    assert isinstance(shares, dict)
    assert {"params.margin", "loss"} <= set(shares)
    words = texts_of(draw_importance(view, shares))
    assert "items_lr" in words
    assert f"{shares['params.items_lr']:.0%}" in words


def test_long_names_break_at_their_marks():
    assert wrapped("params.num_fixed_layers", 12) == "params.num_\nfixed_layers"


def test_the_page_needs_nothing_from_elsewhere(tmp_path):
    view = SweepView.of(sweep_state(tmp_path, mixed_trials(30)))
    text = page(view, importances(view))
    assert not re.search(r"<(script|link|img|iframe)[^>]*(src|href)=", text)
    assert text.count("<!doctype html>") == 1
    # Once for all five pictures: plotly's own script is 4 MB.
    assert len(text) < 8_000_000
    assert text.count('class="plotly-graph-div"') == 4
    for word in ("History", "Parameters and what came of them", "Importance", "Each parameter alone"):
        assert f"<h2>{word}</h2>" in text


def test_the_page_executes_no_word_of_a_user(tmp_path):
    attack = "</script><script>alert(1)</script><img src=x onerror=alert(2)>"
    trials = [Trial(n, {attack: f"{attack}{n}"}, "done", values=(n / 10,)) for n in range(3)]
    trials.append(Trial(3, {attack: "x"}, "failed", reason=attack))
    state = sweep_state(tmp_path / "<b>", trials, {attack: [f"{attack}{n}" for n in range(3)]}, metric=("<script>",))
    view = SweepView.of(state)
    text = page(view, attack)
    assert "<script>alert" not in text
    assert "<img src" not in text
    assert "<title>Search &lt;b&gt;</title>" in text


def test_a_page_without_importance_says_why(tmp_path):
    assert "<p>Left out: needs 10 done trials, there are 3.</p>" in page(
        SweepView.of(constant(tmp_path, 3)), "needs 10 done trials, there are 3"
    )


def test_pictures_are_renewed_every_so_often_and_at_the_end(tmp_path):
    clock, state = Clock(), constant(tmp_path, 3)
    pictures = SweepPictures(lambda line: None, clock)
    assert pictures.draw_if_due(state) == []
    clock.now = 30.0
    assert pictures.draw_if_due(state) != []
    clock.now = 59.0
    assert pictures.draw_if_due(state) == []
    assert pictures.draw(state) != []


def test_slow_pictures_take_a_small_share_of_the_time(tmp_path, monkeypatch):
    clock, state = Clock(), constant(tmp_path, 3)

    def slow(view: SweepView) -> Figure:
        clock.now += 4.0
        return Figure()

    monkeypatch.setattr("hft.search.results.pictures.png_figures.draw_history", slow)
    pictures = SweepPictures(lambda line: None, clock)
    pictures.draw(state)
    clock.now += 190
    assert pictures.draw_if_due(state) == []
    clock.now += 20
    assert pictures.draw_if_due(state) != []


def test_a_picture_that_cannot_be_drawn_is_said_once_and_ends_nothing(tmp_path, monkeypatch):
    def broken(view: SweepView) -> Figure:
        raise RuntimeError("no ink")

    monkeypatch.setattr("hft.search.results.pictures.png_figures.draw_history", broken)
    said: list[str] = []
    files = ResultFiles(say=said.append)
    state = sweep_state(tmp_path, mixed_trials(12), ended="budget")
    files.on_end(state)
    files.on_end(state)
    assert said == [f"{tmp_path / 'pictures' / 'history.png'} is not drawn: RuntimeError: no ink"]
    assert (tmp_path / "pictures" / "slices.png").exists()


def test_a_folder_that_cannot_be_written_ends_nothing(tmp_path):
    (tmp_path / "pictures").write_text("a file")
    said: list[str] = []
    assert SweepPictures(said.append).draw(sweep_state(tmp_path, mixed_trials(12))) == []
    assert all("is not drawn: StorageError" in line for line in said)
    assert len(said) == 4


def test_nothing_heavy_is_imported_before_there_is_something_to_draw():
    code = (
        "import sys, hft.search.results.live_table, hft.search.results.summary\n"
        "from hft.search.results import keep_models, result_files\n"
        "result_files.ResultFiles(); keep_models.KeepModels()\n"
        "heavy = ('matplotlib', 'plotly', 'optuna', 'torch', 'hydra', 'mlflow')\n"
        "print([name for name in heavy if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.stdout == "[]\n", done.stderr


def test_controls_and_what_turns_letters_around_are_shown_as_codes_in_the_page(tmp_path: Path) -> None:
    trials = [
        Trial(number, {"key": value, "rate": 0.1 * (1 + number)}, state="done", values=(0.1 * number,))
        for number, value in enumerate(["a\x1b[31m", "b\u202eevil", "c\x00", "d"])
    ]
    found = page(SweepView.of(sweep_state(tmp_path, trials)), {})
    own = re.sub(r"<script>.*?</script>", "", found, count=1, flags=re.DOTALL)  # plotly's own
    for sign in ("\x1b", "\u202e", "\x00", "\\u001b", "\\u202e"):
        assert sign not in own.replace("\\\\u", "CODE")
    assert "CODE001b[31m" in own.replace("\\\\u", "CODE")
