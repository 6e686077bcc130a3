"""Pictures: which are drawn, what stands in them, that nothing leaves the page."""

from __future__ import annotations

import subprocess
import sys
import warnings
from pathlib import Path
from typing import Any

import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.text import Text

from hft.errors import StorageError
from hft.figures import save_figure
from hft.reporting import save_pictures
from hft.reporting.before_after import draw_before_after
from hft.reporting.learning_curves import draw_learning_curves

PNG = b"\x89PNG\r\n\x1a\n"
HARD_TEXTS = [
    "a very long text that goes on " * 20,
    "WWWW MMMM " * 60,
    "Pneumonoultramicroscopicsilicovolcanoconiosis" * 9,
    "line\nbreaks\tand   blanks",
    "$x_1^2$ and $ alone, 100% \\alpha {curly}",
    "ид документа на русском языке " * 8,
    "中文测试文本" * 40,
    "",
]


def fits_the_page(figure: Figure) -> bool:
    """Whether all that is drawn is on the page, and no text is cut off at the edge of its column."""
    renderer = FigureCanvasAgg(figure).get_renderer()
    figure.draw(renderer)
    drawn = figure.get_tightbbox(renderer)
    width, height = figure.get_size_inches()
    on_page = drawn.x0 >= 0 and drawn.y0 >= 0 and drawn.x1 <= width and drawn.y1 <= height
    return bool(on_page) and all(
        text.get_window_extent(renderer).x1 <= axes.bbox.x1 for axes in figure.axes for text in axes.texts
    )


def texts_of(figure: Figure) -> str:
    return "\n".join(artist.get_text() for artist in figure.findobj(Text))


def test_learning_curves_and_each_example_become_png_files(report: dict[str, Any], tmp_path: Path) -> None:
    report["examples"] *= 2
    paths = save_pictures(report, tmp_path / "pictures")
    names = ["learning_curves.png", "before_after_1.png", "before_after_2.png"]
    assert [path.name for path in paths] == names
    assert sorted(path.name for path in (tmp_path / "pictures").iterdir()) == sorted(names)
    for path in paths:
        assert path.read_bytes().startswith(PNG)


def test_where_nothing_was_trained_there_are_no_learning_curves(report_of_one: dict[str, Any], tmp_path: Path) -> None:
    assert [path.name for path in save_pictures(report_of_one, tmp_path)] == ["before_after_1.png"]


def test_the_title_of_the_learning_curves_is_the_verdict(report: dict[str, Any]) -> None:
    figure = draw_learning_curves(report)
    title = figure.get_suptitle()
    assert title.replace("\n", " ") == "Improving: it rose and levelled off"


def test_learning_curves_show_loss_and_metric_of_both_splits(report: dict[str, Any]) -> None:
    losses, metrics = draw_learning_curves(report).axes
    assert losses.get_legend_handles_labels()[1] == ["train", "validation"]
    assert metrics.get_legend_handles_labels()[1] == ["validation", "best: 0.470 at step 100"]


def test_a_metric_to_be_minimised_has_its_best_at_the_bottom(report: dict[str, Any]) -> None:
    report["direction"] = "minimize"
    assert "best: 0.420 at step 0" in texts_of(draw_learning_curves(report))


@pytest.mark.parametrize("kept", [[], ["train_loss"], ["validation_ndcg@10"]])
def test_curves_that_were_not_measured_are_named_as_such(report: dict[str, Any], kept: list[str]) -> None:
    report["curves"] = {name: report["curves"][name] for name in kept}
    figure = draw_learning_curves(report)
    assert texts_of(figure).count("not measured") == 2 - len(kept)
    assert fits_the_page(figure)


def test_one_point_is_enough_for_a_curve(report: dict[str, Any]) -> None:
    report["curves"] = {name: curve[:1] for name, curve in report["curves"].items()}
    assert fits_the_page(draw_learning_curves(report))


def test_before_and_after_mark_the_relevant_results(report: dict[str, Any]) -> None:
    figure = draw_before_after(report["examples"][0], "ndcg@10")
    text = texts_of(figure)
    assert "before: ndcg@10 0.200" in text
    assert "after: ndcg@10 0.900" in text
    # One relevant result a column, and the explanation above each column.
    assert [artist.get_text() for artist in figure.findobj(Text)].count("✓") == 2
    assert text.count("✓ relevant") == 2


def test_before_any_fine_tuning_there_is_one_column(report_of_one: dict[str, Any]) -> None:
    figure = draw_before_after(report_of_one["examples"][0], "ndcg@10")
    assert len(figure.axes) == 1
    assert "the model as it is: ndcg@10 0.200" in texts_of(figure)


@pytest.mark.parametrize("text", HARD_TEXTS, ids=range(len(HARD_TEXTS)))
def test_any_text_stays_on_the_page(report: dict[str, Any], text: str) -> None:
    example = report["examples"][0]
    example["query"] = text
    example["before"] = [{"text": text, "gain": 1.0}] * 15
    example["after"] = [{"text": text, "gain": 0.0}] * 3
    report["verdict"] = text[:400]
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Glyph")
        assert fits_the_page(draw_before_after(example, "ndcg@10"))


def test_letters_that_no_font_has_raise_no_warning(
    report: dict[str, Any], tmp_path: Path, recwarn: pytest.WarningsRecorder
) -> None:
    report["examples"][0]["query"] = "中文 𒀀𒀁"
    save_pictures(report, tmp_path)
    assert [str(warning.message) for warning in recwarn] == []


def test_a_folder_that_cannot_be_written_is_a_storage_error(report: dict[str, Any], tmp_path: Path) -> None:
    (tmp_path / "taken").write_text("a file")
    with pytest.raises(StorageError, match="taken"):
        save_pictures(report, tmp_path / "taken" / "pictures")


def test_importing_the_room_imports_no_matplotlib() -> None:
    code = "import sys, hft.reporting; sys.exit('matplotlib' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_controls_and_what_turns_letters_around_are_drawn_as_codes(tmp_path: Path) -> None:
    figure = Figure()
    axes = figure.add_subplot()
    axes.set_title("a\x1b[31m \u202eevil\x00")
    axes.set_xticks([0, 1], ["\u202eone", "two"])
    with (tmp_path / "one.png").open("wb") as file:
        save_figure(figure, file, 50)
    shown = texts_of(figure)
    assert "a\\u001b[31m \\u202eevil\\u0000" in shown
    assert "\\u202eone" in shown
    assert not set("\x1b\x00\u202e") & set(shown)
