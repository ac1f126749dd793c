"""tools/figures.py writes into pages what the results say; the pages have what they say."""

import json

import pytest

from tools import figures

RESULT = {
    "rows": [
        {"method": "a", "lam": 2, "kills": 41, "times": [1.0, 2.0, 6.0]},
        {"method": "a", "lam": 8, "kills": 1200, "times": [0.5]},
        {"method": "b", "lam": 8, "kills": -3, "times": []},
    ],
    "ratio": {"median": 0.5049, "quartiles": [0.4, 0.6]},
    "methods": {"one": {"mean": 0.742, "gain": 0.3}, "3/4: two": {"mean": 0.5, "gain": -0.295}},
}


@pytest.fixture
def results(tmp_path):
    (tmp_path / "run-a.json").write_text(json.dumps(RESULT))
    return tmp_path


def renewed(page, results):
    lines = figures.renewed(page, results)
    for _, error in lines:
        if error:
            raise error
    return "\n".join(line for line, _ in lines)


def test_every_page_has_the_figures_of_the_results(capsys):
    assert figures.main(["--check"]) == 0, capsys.readouterr().out


@pytest.mark.parametrize(
    ("page", "expected"),
    [
        ("?.??<!--run-a:ratio:median--> of it", "0.50"),
        ("9<!--run-a:ratio:quartiles:1*100--> %", "60"),
        ("?<!--run-a:rows:kills:sum--> kills", "1,238"),
        ("+?.?<!--run-a:rows:method=a&lam=2:kills-->", "+41.0"),
        ("?.?<!--run-a:rows:method=a&lam=2:times:median-->", "2.0"),
        ("?<!--run-a:rows:method=a:kills:max-->", "1,200"),
        ("?<!--run-a:rows:2:kills-->", "-3"),
        ("?<!--run-a:rows:len-->", "3"),
    ],
)
def test_a_figure_is_rounded_as_the_page_has_it(page, expected, results):
    new = renewed(page, results)
    assert new.startswith(f"{expected}<!--")
    assert renewed(new, results) == new
    assert new.partition("<!--")[2] == page.partition("<!--")[2]


def test_the_rows_of_a_table_are_found_by_their_labels(results):
    page = """<!--table run-a:methods:{} | mean | - | gain*100; mean -->
| method | mean | note | gain |
| --- | --- | --- | --- |
| **one** | ?.?? | 7 | **? %** of ?.? |
| another<!--=3/4: two--> | 9.999 | | ? % of 1.0 |

| one | 7 | 7 | 7 |"""
    assert renewed(page, results).splitlines()[3:] == [
        "| **one** | 0.74 | 7 | **30 %** of 0.7 |",
        "| another<!--=3/4: two--> | 0.500 | | -30 % of 0.5 |",
        "",
        "| one | 7 | 7 | 7 |",
    ]


def test_other_comments_and_figures_are_left_alone(results):
    page = "12 <!-- by a script: 3 --> and 7<!-- no way -->"
    assert renewed(page, results) == page


@pytest.mark.parametrize(
    ("page", "message"),
    [
        ("1<!--none:x-->", r"none\.json: expected it in .*, got no such file"),
        ("1<!--run-a:x-->", r"run-a:x: expected 'x' in run-a, got the keys 'rows', 'ratio'"),
        ("1<!--run-a:rows:method=c:kills-->", r"expected 'method=c' in run-a:rows, got a list of 3"),
        ("1<!--run-a:rows:kills-->", r"expected a number at the end, got a list of 3"),
        ("x<!--run-a:ratio:median-->", r"expected a figure before the comment"),
        ("<!--table run-a:methods:{} | mean-->\n| |\n|-|\n| two | 1 |", r"expected 'two' in run-a:methods"),
        (
            "<!--table - | run-a:methods:{}:mean-->\n| |\n|-|\n| one | x |",
            r"run-a:methods:one:mean: expected a figure",
        ),
    ],
)
def test_a_figure_that_is_not_there_is_an_error(page, message, results):
    with pytest.raises(figures.FigureError, match=message):
        renewed(page, results)
