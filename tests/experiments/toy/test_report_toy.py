"""The page and the table of the toy problem: what is counted, and what half a grid or a damaged one gives."""

import io
import json
import math
import re
from html.parser import HTMLParser
from itertools import combinations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from matplotlib.colors import to_rgb
from rich.console import Console

from asng.errors import RunError
from asng.experiments.toy.report import TOY
from asng.experiments.toy.report.cells import MEASURES, outcome, premature, read_toy, toy_verdict
from asng.experiments.toy.report.figures import _STYLES
from asng.experiments.toy.simulate import ToyCell
from asng.report import summary_table, write_report

STOP, MODE = MEASURES
SETTINGS = {
    "variables": 30,
    "choices": 5,
    "iterations": 1000,
    "methods": ["ASNG", "SNG"],
    "exponents": [0.0, 0.5],
    "learning_rates": [0.05, 0.005],
}


def cell(method="ASNG", exponent=0.0, rate=0.05, **columns):
    """One cell of four seeds: the second stopped with 27 of 30 right, the last never stopped."""
    return {
        "method": method,
        "exponent": exponent,
        "learning_rate": rate,
        "seeds": [0, 1, 2, 3],
        "stopped": [100, 200, 300, None],
        "right_when_stopped": [30, 27, 30, None],
        "found": [90, 250, 310, 400],
        "settled": [95, None, 320, 450],
        "right_at_end": [30, 29, 30, 30],
    } | columns


def write_toy_run(folder, cells, settings=SETTINGS):
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "toy.json").write_text(json.dumps({"settings": settings, "seconds": 75.0, "cells": cells}))
    return folder


def whole():
    return [cell(m, f, r) for m in ("ASNG", "SNG") for r in (0.05, 0.005) for f in (0.0, 0.5)]


class Page(HTMLParser):
    def __init__(self, text):
        super().__init__()
        self.words, self.ids, self.graphics = [], [], 0
        self.feed(text)
        self.text = " ".join(" ".join(self.words).split())

    def handle_starttag(self, tag, attrs):
        self.graphics += tag == "svg"
        self.ids += [value for name, value in attrs if name == "id"]

    def handle_data(self, data):
        self.words.append(data)


def page(folder):
    return Page(write_report(folder, kinds=[TOY]).read_text(encoding="utf-8"))


def of_columns(**columns):
    """Return a cell as it is read, with some columns."""
    n = len(next(iter(columns.values())))
    rest = dict.fromkeys(("stopped", "right_when_stopped", "found", "settled"), (math.inf,) * n)
    return ToyCell("ASNG", 0.0, 0.05, **(rest | {"right_at_end": (30.0,) * n} | columns))


def test_each_measure_counts_its_own_successes(tmp_path):
    grid = read_toy(write_toy_run(tmp_path, [cell()]) / "toy.json")
    assert outcome(grid.cells[0], STOP, 30) == (0.75, (100.0, 200.0, 300.0))
    # The second found the optimum, and lost it.
    assert outcome(grid.cells[0], MODE, 30) == (0.75, (90.0, 310.0, 400.0))
    assert premature(grid.cells, 30) == [27.0]


@given(st.lists(st.one_of(st.just(math.inf), st.integers(1, 1000).map(float)), min_size=1, max_size=30))
def test_a_quartile_is_infinite_only_where_enough_runs_never_came(stopped):
    share, quartiles = outcome(of_columns(stopped=tuple(stopped)), STOP, 30)
    assert share == sum(map(math.isfinite, stopped)) / len(stopped)
    for quartile, at in zip(quartiles, (0.25, 0.5, 0.75), strict=True):
        assert quartile in stopped
        assert sum(value <= quartile for value in stopped) >= at * len(stopped)
        assert math.isfinite(quartile) == (share >= at)


@given(st.lists(st.integers(1, 1000), min_size=1, max_size=20), st.randoms())
def test_the_order_of_the_seeds_does_not_matter(stopped, random):
    shuffled = random.sample(stopped, len(stopped))
    one, other = (of_columns(stopped=tuple(map(float, values))) for values in (stopped, shuffled))
    assert outcome(one, STOP, 30) == outcome(other, STOP, 30)


def test_the_verdict_names_the_worst_premature_stop(tmp_path):
    words = toy_verdict(read_toy(write_toy_run(tmp_path, whole()) / "toy.json"))
    assert "ASNG 75 %, SNG 75 %" in words
    assert "in 8 runs while the mode was wrong, at worst with 27 of 30 variables right" in words
    sound = [cell(right_when_stopped=[30, 30, 30, None])]
    assert "always with the right mode" in toy_verdict(read_toy(write_toy_run(tmp_path, sound) / "toy.json"))


def test_the_page_has_a_panel_a_learning_rate_for_each_measure(tmp_path):
    found = page(write_toy_run(tmp_path / "toy", whole()))
    # Of each of two measures: a legend, and two panels a learning rate.
    assert found.graphics == 2 * (1 + 2 * 2)
    assert len(found.ids) == len(set(found.ids))
    assert "8 of 8" in found.text
    assert "1 min 15 s" in found.text
    assert "75 %, 200*" in found.text
    assert found.text.index("Learning rate of x: 0.005") < found.text.index("Learning rate of x: 0.05 ")


def test_the_page_comes_from_the_folder_alone_and_is_the_same_each_time(tmp_path):
    one = write_report(write_toy_run(tmp_path / "a" / "toy", whole()), kinds=[TOY]).read_text()
    assert write_report(tmp_path / "a" / "toy", kinds=[TOY]).read_text() == one
    assert not re.search(r"https?://(?!www\.w3\.org)", one)


def test_the_table_has_a_row_a_cell_of_the_grid(tmp_path):
    console = Console(file=io.StringIO(), width=200)
    console.print(summary_table(write_toy_run(tmp_path, whole()), kinds=[TOY]))
    text = console.file.getvalue()
    assert text.count("75 %, 200*") == 8
    assert text.count("75 %, 310") == 8


@pytest.mark.parametrize("cells", [[], [cell()], [cell(), cell("SNG", 0.5, 0.005)]])
def test_a_grid_that_is_not_finished_gives_a_page_of_what_is(cells, tmp_path):
    found = page(write_toy_run(tmp_path / "toy", cells))
    assert f"{len(cells)} of 8" in found.text
    summary_table(tmp_path / "toy", kinds=[TOY])


def test_a_grid_without_any_success_is_drawn(tmp_path):
    none = {
        "stopped": [None] * 4,
        "right_when_stopped": [None] * 4,
        "found": [None] * 4,
        "settled": [None] * 4,
    }
    assert page(write_toy_run(tmp_path / "toy", [cell(**none, right_at_end=[3] * 4)])).graphics == 6


def test_a_report_that_is_not_given_the_kind_says_which_command_knows_it(tmp_path):
    for function in (summary_table, write_report):
        with pytest.raises(
            RunError, match=r"contains a run of another kind\. Use `asng report .*`, which reads all kinds"
        ):
            function(write_toy_run(tmp_path / "toy", [cell()]))


def test_names_are_escaped(tmp_path):
    text = write_report(write_toy_run(tmp_path / "toy", [cell("<script>")]), kinds=[TOY]).read_text()
    assert "<script" not in text


@pytest.mark.parametrize(
    ("data", "message"),
    [
        ("[]", "expected `object`, got `array`"),
        ({"cells": []}, "object missing required field `settings`"),
        (
            {"settings": {**SETTINGS, "choices": 0}, "cells": []},
            r"expected `int` >= 1 - at `\$\.settings\.choices`",
        ),
        (
            {"settings": {**SETTINGS, "methods": 3}, "cells": []},
            r"expected `array`, got `int` - at `\$\.settings\.methods`",
        ),
        ({"settings": SETTINGS, "cells": {}}, r"expected `array`, got `object` - at `\$\.cells`"),
        (
            {"settings": SETTINGS, "cells": [cell(found=[1])]},
            r"expected one entry per seed .* at `\$\.cells\[0\]`",
        ),
        (
            {"settings": SETTINGS, "cells": [cell(stopped=["a"] * 4)]},
            r"expected `int \| null`, got `str` - at `\$\.cells\[0\]\.stopped\[0\]`",
        ),
        (
            {"settings": SETTINGS, "cells": [cell(exponent=None)]},
            r"expected `float`, got `null` - at `\$\.cells\[0\]\.exponent`",
        ),
        (
            {"settings": SETTINGS, "cells": [cell(found=[0, 1, 2, 3])]},
            r"expected `int` >= 1 - at `\$\.cells\[0\]\.found\[0\]`",
        ),
        (
            {"settings": SETTINGS, "cells": [cell(stopped=[-1, 1, 2, 3])]},
            r"expected `int` >= 1 .*stopped\[0\]`",
        ),
        (
            {"settings": {**SETTINGS, "iterations": 10**400}, "cells": []},
            r"expected `int`, got `float` - at `\$\.settings\.iter",
        ),
    ],
)
def test_a_damaged_file_is_named(data, message, tmp_path):
    (tmp_path / "toy.json").write_text(data if isinstance(data, str) else json.dumps(data))
    with pytest.raises(RunError, match=message):
        write_report(tmp_path, kinds=[TOY])
    assert not (tmp_path / "report.html").exists()


def test_the_example_of_four_seeds_is_what_the_reader_returns(tmp_path):
    (one,) = read_toy(write_toy_run(tmp_path, [cell()]) / "toy.json").cells
    assert one.stopped == (100, 200, 300, None)
    assert one.settled == (95, None, 320, 450)
    assert one.right_when_stopped[3] is None


def test_the_verdict_says_nothing_of_a_stop_rule_that_never_fired(tmp_path):
    never = [cell(stopped=[None] * 4, right_when_stopped=[None] * 4)]
    words = toy_verdict(read_toy(write_toy_run(tmp_path, never) / "toy.json"))
    assert words.endswith("ASNG 0 %.")


def test_methods_are_told_apart_by_colour_by_mark_and_by_line():
    for one, other in combinations(_STYLES, 2):
        assert math.dist(to_rgb(one["color"]), to_rgb(other["color"])) > 0.5  # of at most 1.7
        assert all(one[key] != other[key] for key in ("marker", "linestyle"))
