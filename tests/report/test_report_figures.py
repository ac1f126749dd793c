import base64
import io
import re
import warnings
from pathlib import Path
from xml.etree import ElementTree

import matplotlib.image
import numpy as np
import pytest
from matplotlib import colormaps
from matplotlib.figure import Figure
from run_folders import write_log

import asng.report
from asng.black_box import painting
from asng.report.figures.curves import (
    delta_curve,
    entropy_curve,
    loss_curves,
    paint_finalists,
    paint_losses,
    warm_up,
)
from asng.report.figures.heatmap import COLOUR_MAP, band, heat_map
from asng.report.figures.importance import THETA, paint_importance
from asng.report.figures.strip import Row, strip_plot
from asng.report.figures.svg import BLUE, ORANGE, clean, draw, hint, tidy
from asng.runs.events import Normal
from asng.runs.history import read_log
from asng.space import Integer, Real


def texts(svg):
    return [
        "".join(e.itertext()).strip() for e in ElementTree.fromstring(svg).iter() if e.tag.endswith("}text")
    ]


def colours(svg):
    """Return the pixels of the picture in a heat map, from the top left."""
    data = re.search(r"data:image/png;base64,([^\"]+)", svg).group(1)
    return matplotlib.image.imread(io.BytesIO(base64.b64decode(data)))[..., :3]


def drawn(steps, probabilities, choices=("a", "b"), found="b"):
    return heat_map(steps, np.array(probabilities), choices, found=found, room=60, key="k", label="theta")


def test_a_heat_map_shows_each_probability_in_its_row_and_at_its_step():
    # Recorded at 0, 10 and 100: of an even grid 0, 50, 100 the middle one still shows the second record.
    pixels = colours(drawn([0, 10, 100], [[0.5, 0.5], [0.2, 0.8], [0.0, 1.0]]))
    expected = colormaps[COLOUR_MAP](np.array([[0.5, 0.2, 0.0], [0.5, 0.8, 1.0]]))[..., :3]
    top = pixels if np.abs(pixels - expected).max() < 0.01 else pixels[::-1]
    np.testing.assert_allclose(top, expected, atol=0.01)


def test_every_choice_is_named_and_the_found_one_is_bold():
    svg = drawn([0, 1], [[0.5, 0.5]] * 2, ("conv", "skip"), "skip")
    assert [text for text in texts(svg) if text in ("conv", "skip")] == ["conv", "skip"]
    (bold,) = re.findall(r"<text[^>]*(?:bold|700)[^>]*>([^<]*)", svg)
    assert bold == "skip"


def test_very_many_choices_stay_one_figure_of_a_screen():
    svg = drawn([0, 1], np.full((2, 60), 1 / 60), range(60))
    height = float(ElementTree.fromstring(svg).attrib["viewBox"].split()[3])
    assert height < 300
    assert len(texts(svg)) < 40


@pytest.mark.parametrize(
    "variable", [Integer(16, 256, log=True), Real(0.0, 0.5), Integer(3, 3), Real(1e-5, 1.0, log=True)]
)
def test_a_band_shows_the_bounds_in_the_units_of_the_variable(variable):
    mean, std = variable.encode(variable.low), 1000.0
    svg = band([0, 5], [Normal(mean, std)] * 2, variable, room=50, key="k", label="x")
    numbers = {float(text) for text in texts(svg)}
    assert {float(variable.low), float(variable.high)} <= numbers


@pytest.fixture
def steps(tmp_path):
    write_log(tmp_path, steps=40, warm_up=0.25)
    return read_log(tmp_path / "log.jsonl").steps


def test_the_warm_up_is_the_steps_before_the_first_objective(steps):
    assert warm_up(steps) == (1, 10)
    for curve in (entropy_curve, delta_curve, loss_curves):
        assert "warm-up" in texts(curve(steps))


def test_a_run_without_warm_up_has_none_drawn(tmp_path):
    write_log(tmp_path, warm_up=-0.1)
    steps = read_log(tmp_path / "log.jsonl").steps
    assert warm_up(steps) is None
    assert "warm-up" not in texts(loss_curves(steps))


def test_both_losses_are_in_the_legend(steps):
    assert {"training loss", "validation loss"} <= set(texts(loss_curves(steps)))


FRONT = np.array([[float(n), 9.0 - n] for n in range(9)])
PAINTED = {
    "losses": lambda axes, steps: paint_losses(axes, steps),
    "two axes": lambda axes, steps: paint_losses(axes, steps, "accuracy"),
    "finalists": lambda axes, steps: paint_finalists(axes, [(0.5, 0.6, 0.7), (0.4, 0.6, None)]),
    "importance": lambda axes, steps: paint_importance(axes, {"losses": {"a": 1.0}, THETA: {"a": 1.0}}),
    "calls": lambda axes, steps: painting.paint_losses(axes, np.array([3.0, np.nan, 1.0])),
    "front": lambda axes, steps: painting.paint_front(axes, ("loss", "size"), FRONT),
}


@pytest.mark.parametrize("paint", PAINTED.values(), ids=PAINTED)
def test_a_legend_covers_nothing(paint, steps):
    axes = Figure(figsize=(9, 4)).subplots()
    paint(axes, steps)
    axes.figure.draw_without_rendering()
    legend, frame = axes.get_legend().get_window_extent(), axes.bbox
    assert legend.y0 >= frame.y1 or legend.x0 >= frame.x1


def row(**changes):
    return Row(**{"name": "seed 0", "found": 0.86, "mean": 0.84, "sd": 0.01, "peers": [0.83, 0.85]} | changes)


def test_a_strip_plot_has_a_dot_for_each_peer():
    def dots(n):
        svg = strip_plot([row(peers=[0.84] * n)], metric="accuracy", higher_is_better=True)
        return svg.count("<use") + svg.count("<ns0:use")

    assert dots(7) - dots(2) == 5


def test_a_strip_plot_marks_the_found_network():
    with_and_without = [
        strip_plot([row(found=score)], metric="accuracy", higher_is_better=True).count(BLUE)
        for score in (0.86, float("nan"))
    ]
    assert with_and_without == [2, 1]


def test_a_strip_plot_marks_a_baseline():
    with_and_without = [
        strip_plot([row(baseline=score)], metric="accuracy", higher_is_better=True)
        for score in (0.85, float("nan"))
    ]
    assert [svg.count(ORANGE) > 0 for svg in with_and_without] == [True, False]
    assert ["baseline" in texts(svg) for svg in with_and_without] == [True, False]


def test_a_strip_plot_bears_missing_scores():
    nan = float("nan")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        svg = strip_plot([row(found=nan, mean=nan, sd=nan, peers=[])], metric="loss", higher_is_better=False)
    assert "loss (lower is better)" in texts(svg)


def test_letters_that_the_font_lacks_raise_no_warning():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert "卷积" in texts(drawn([0, 1], [[0.5, 0.5]] * 2, ("卷积", "skip")))


def test_a_dollar_sign_is_a_dollar_sign():
    assert "$x^2$" in texts(drawn([0, 1], [[0.5, 0.5]] * 2, ("$x^2$", "skip")))


def test_a_name_is_cleaned_and_cut():
    assert clean("tab\there\x00\ud800") == "tab?here??"
    assert clean("x" * 30, 10) == "x" * 9 + "…"


def painted(paint):
    return draw(paint, size=(300, 200), margins=(40, 10, 30, 10), key="k", label="x")


def test_points_say_their_value_where_they_stand():
    def paint(axes):
        axes.set_xlim(0, 10)
        axes.set_ylim(0, 1)
        hint(axes, [5, 20, 6], [0.5, 0.5, float("nan")], ["a <b>\x00 middle", "outside", "no number"])

    root = ElementTree.fromstring(painted(paint))
    (spot,) = [element for element in root.iter() if element.get("class") == "hint"]
    # The middle of the axes, which leave 40 and 10 pixels free at the sides, 30 and 10 below and above.
    assert (float(spot.get("cx")), float(spot.get("cy"))) == (40 + 250 / 2, 10 + 160 / 2)
    assert spot[0].text == "a <b>? middle"


def test_colours_of_figures_are_those_of_the_page():
    style = (Path(asng.report.__file__).parent / "templates" / "style.css").read_text()
    light, dark = style.split("@media (prefers-color-scheme: dark)")[:2]
    svg = painted(lambda axes: (tidy(axes), axes.plot([0, 1], color=BLUE), axes.plot([1, 0], color=ORANGE)))
    assert f"stroke: var(--blue, {BLUE})" in svg
    assert not re.search(r"(?<!, )#[0-9a-f]{6}", svg)  # no colour beside those that the page can change
    for name in set(re.findall(r"var\(--(\w+)", svg)):
        assert f"--{name}: " in light
        assert f"--{name}: " in dark.split("}\n}")[0]
