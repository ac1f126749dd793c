"""How much each variable of a black box matters: in the result, and in the report."""

import pytest
from black_boxes import MIXED, SMALL, mixed, small

from asng.black_box import Measured, minimize
from asng.black_box.measured import rank_sums
from asng.black_box.report import page
from asng.report import read_run
from asng.report.figures.importance import importance_bars


@pytest.mark.slow
def test_a_search_says_what_mattered(tmp_path):
    result = minimize(mixed, MIXED, 200, run_dir=tmp_path)
    found = result.importance()
    assert list(found) == list(MIXED)
    assert found["one"] == (0.0, 0.0)
    assert all(0.0 <= share <= 1.0 for one in found.values() for share in one)
    assert max(found, key=lambda name: found[name].samples) in ("op", "rate", "width")
    assert minimize(mixed, MIXED, 200, run_dir=tmp_path, resume=True).importance() == found
    assert minimize(mixed, MIXED, 200).importance() == found


def scaled_apart(a):
    return {"share": a["rate"], "bytes": 1e9 * a["width"]}


def kept_or_broken(a):
    return Measured(mixed(a), constraints={"wide": a["width"] / 20 - 1.0})


def failing(a):
    if a["rate"] > 0.01:
        raise ValueError("rate")
    return mixed(a)


@pytest.mark.parametrize(
    ("f", "options"),
    [
        (scaled_apart, {"objectives": ["share", "bytes"]}),
        (kept_or_broken, {}),
        (failing, {"on_error": "worst"}),
    ],
)
def test_the_report_says_what_the_result_says(f, options, tmp_path, monkeypatch):
    result, drawn = minimize(f, MIXED, 120, run_dir=tmp_path, **options), []
    monkeypatch.setattr(page, "importance_figure", lambda *arguments: drawn.append(arguments) or "")
    result.report()
    bars = importance_bars(*drawn[-1])["losses of samples"]
    assert bars == pytest.approx({name: one.samples for name, one in result.importance().items()})
    assert max(bars.values()) > 0.0


def test_equal_losses_share_their_rank_and_broken_constraints_rank_worst():
    assert rank_sums([{"a": 1.0, "b": 5.0}] * 3) == [4.0] * 3
    nan = float("nan")
    assert rank_sums([{"a": 1.0, "b": nan}, None, {"a": 9.0, "b": 8.0}]) == pytest.approx(
        [nan, nan, 2.0], nan_ok=True
    )


def test_the_figure_of_the_front_leaves_out_what_breaks_a_constraint():
    def f(a):
        return Measured({"u": a["k"], "v": 9.0 - a["k"]}, constraints={"c": 1.5 - a["k"]})

    result = minimize(f, SMALL, 25, objectives=["u", "v"])
    lines = {line.get_label(): line.get_xdata().tolist() for line in result.plot("front").lines}
    assert lines["the front"] == sorted({one.losses["u"] for one in result.front})
    assert min(lines["a call"]) >= 2


def test_the_report_has_it_as_a_figure(tmp_path):
    result = minimize(small, SMALL, 25, run_dir=tmp_path)
    text = result.report().read_text()
    assert "What matters" in text
    assert "importance" in text
    calls = read_run(tmp_path).log.calls
    assert sorted(c.loss for c in calls.sample) == sorted(
        one.loss for one in result.history if not one.cached
    )
