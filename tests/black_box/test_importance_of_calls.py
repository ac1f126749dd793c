"""How much each variable of a black box matters: in the result, and in the report."""

import pytest
from black_boxes import MIXED, SMALL, mixed, small

from asng.black_box import minimize
from asng.report import read_run


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


def test_the_report_has_it_as_a_figure(tmp_path):
    result = minimize(small, SMALL, 25, run_dir=tmp_path)
    text = result.report().read_text()
    assert "What matters" in text
    assert "importance" in text
    calls = read_run(tmp_path).log.calls
    assert sorted(c.loss for c in calls.sample) == sorted(
        one.loss for one in result.history if not one.cached
    )
