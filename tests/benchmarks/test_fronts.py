"""The searches for fronts, and the rows that are there already."""

import json

import pytest

from benchmarks.optimiser import fronts


@pytest.mark.parametrize("name", ["ZDT1, 8 reals", "20 choices of 4", "mixed", "widths, conditional"])
def test_como_catcma_pays_for_its_budget_with_points_of_the_space(name, monkeypatch):
    monkeypatch.setattr(fronts, "BUDGETS", (20, 45))
    pytest.importorskip("cmaes", minversion="0.13")
    space, f, reference = fronts.CHOSEN_ON.get(name) or fronts.KEPT_BACK[name]
    asked = []

    def noting(a):
        asked.append(a)
        return f(a)

    found = fronts.como_catcma((space, noting, reference), 0, kernels=3)
    assert len(found) == len(asked) == 45
    assert all(space.contains(a) for a in asked)
    assert found == fronts.como_catcma((space, f, reference), 0, kernels=3)


def test_rows_are_measured_again_only_for_other_seeds_or_budgets(tmp_path, monkeypatch):
    row = {"problem": "mixed", "way": "ours", "at_100": 0.5}
    monkeypatch.setattr(fronts, "RESULTS", tmp_path)
    assert fronts.there_already(2) == {}
    told = {"commit": "abc", "seeds": [0, 1], "budgets": list(fronts.BUDGETS), "rows": [row]}
    (tmp_path / "fronts.json").write_text(json.dumps(told))
    assert fronts.there_already(2) == {("mixed", "ours"): {"commit": "abc"} | row}
    assert fronts.there_already(3) == {}
    (tmp_path / "fronts.json").write_text(json.dumps(told | {"budgets": [10]}))
    assert fronts.there_already(2) == {}


def test_a_row_names_its_commit_and_the_shares_after_each_budget(monkeypatch):
    monkeypatch.setattr(fronts, "BUDGETS", (1, 2))

    def nobody(problem, seed):
        return [(11.0, 11.0), (0.0, 0.0)]

    row = fronts.measured("20 choices of 4", nobody, 3)
    assert row["commit"]
    assert "library" not in row
    assert row["at_1"] == pytest.approx(0.25, abs=0.02)
    assert row["at_2"] == 1.0
