import json
import re
import subprocess
import sys
from html.parser import HTMLParser

import pytest
from run_folders import (
    SMALL,
    enas_graph,
    result,
    write_enas_run,
    write_json,
    write_lines,
    write_log,
    write_seeds_run,
    write_seeds_run_of_two_scores,
    write_small_run,
)

from asng.cli.tell import KINDS
from asng.errors import RunError
from asng.report import write_report

EVIL = "<script>alert('x')</script> & \"$\\frac{1}$\""


class Page(HTMLParser):
    """Collects tags, attributes, ids and text of a page."""

    def __init__(self, text):
        super().__init__()
        self.tags, self.attributes, self.words = [], [], []
        self.feed(text)
        self.text = " ".join(" ".join(self.words).split())
        self.ids = [value for name, value in self.attributes if name == "id"]

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.attributes += attrs

    def handle_data(self, data):
        self.words.append(data)


@pytest.fixture(scope="module")
def enas(tmp_path_factory):
    return write_report(write_enas_run(tmp_path_factory.mktemp("runs") / "enas")).read_text()


def test_a_page_of_forty_variables_is_whole_and_of_moderate_size(enas):
    page = Page(enas)
    assert len(enas) < 3_000_000
    assert enas.rstrip().endswith("</html>")
    for cell in ("normal", "reduction"):
        for node in range(1, 6):
            assert f"{cell}.node{node}.op2" in page.text
    for word in (
        "better by 0.020 (rank 1 of 5)",
        "warm-up",
        "2.13.0",
        "supernet.nodes",
        "13 min 32 s",
        "infinite",
    ):
        assert word in page.text
    # 42 variables, two cells, three curves, importance, a comparison and scores over parameters.
    assert page.tags.count("svg") == 50


def test_a_page_needs_no_script_and_no_other_file(enas):
    page = Page(enas)
    assert not {"script", "link", "iframe", "object", "img"} & set(page.tags)
    # Names of XML name spaces are no addresses to load from.
    links = [v for n, v in page.attributes if n in ("href", "src", "xlink:href") and v]
    assert all(link.startswith(("#", "data:image/png")) for link in links)
    assert "@import" not in enas
    assert re.findall(r"url\((?!#)", enas) == []


def test_ids_are_unique_and_every_reference_has_its_target(enas):
    page = Page(enas)
    assert len(page.ids) == len(set(page.ids))
    used = re.findall(r"url\(#([^)]+)\)", enas) + re.findall(r'xlink:href="#([^"]+)"', enas)
    assert set(used) <= set(page.ids)


def test_every_label_of_a_cell_is_drawn_once_an_edge(tmp_path):
    folder = write_enas_run(tmp_path / "run")
    architecture = json.loads((folder / "architecture.json").read_text())
    architecture |= {"normal.node1.input1": "cell-1", "normal.node1.input2": "cell-1"}
    graph = enas_graph("parallel", architecture, "normal")
    for number, edge in enumerate(graph["edges"]):
        edge["label"] = f"operation{number}"
    write_json(folder / "graphs.json", [graph])
    text = Page(write_report(folder).read_text()).text
    assert all(text.split().count(edge["label"]) == 1 for edge in graph["edges"])


def test_ordered_variables_show_their_steps_and_their_spread(tmp_path):
    space = {"width": {"type": "integer", "low": 8, "high": 64, "log": False, "step": 8}}
    theta = {"width": {"mean": 30.12, "std": 2.34}}
    write_lines(
        tmp_path / "log.jsonl",
        [{"event": "start", "space": space}, {"event": "theta", "step": 1, "theta": theta}],
    )
    page = write_report(tmp_path).read_text()
    assert "integer in [8, 64], steps of 8" in page
    assert "30.1 +- 2.3" in page


def test_an_objective_that_is_not_the_loss_has_an_axis_of_its_own(tmp_path):
    step = {"event": "step", "step": 1, "loss": 2.0, "objective": 0.4}
    pages = []
    for select in ("loss", "maximize"):
        start = {"event": "start", "objective": {"select": select, "function": "pkg.module.f1"}}
        write_lines(tmp_path / "log.jsonl", [start, step, {**step, "step": 2}])
        pages.append(write_report(tmp_path).read_text())
    assert "validation loss" in pages[0]
    assert "f1 on validation data" not in pages[0]
    assert "f1 on validation data" in pages[1]


def test_names_from_the_folder_are_escaped_everywhere(tmp_path):
    folder = tmp_path / "run"
    folder.mkdir()
    space = {EVIL: {"type": "categorical", "choices": [EVIL, "b\x00\x1b"]}, f"{EVIL}.x": SMALL["drop"]}
    architecture = write_log(folder, space)
    write_json(folder / "architecture.json", architecture)
    write_json(folder / "config.yaml", {EVIL: EVIL})
    write_json(folder / "result.json", result(metric=EVIL, architecture=architecture))
    nodes = [{"id": "a", "label": EVIL}, {"id": "b", "label": "\ud800"}]
    edges = [{"from": "a", "to": "b", "label": EVIL}]
    write_json(folder / "graphs.json", [{"title": EVIL, "nodes": nodes, "edges": edges}])
    page = Page(write_report(folder).read_text(encoding="utf-8"))
    assert not {"script", "frac"} & set(page.tags)
    assert EVIL in page.text
    # In the figures it is cut short: as choice, as metric, as node and as operation.
    assert page.text.count("<script>alert('x')</s") >= 4


def test_half_a_surrogate_pair_does_not_stop_the_page(tmp_path):
    write_json(tmp_path / "result.json", result(metric="acc\ud800"))
    assert "found, acc?" in write_report(tmp_path).read_text(encoding="utf-8")


def test_the_same_folder_gives_the_same_page(tmp_path):
    folder = write_small_run(tmp_path / "run")
    assert write_report(folder).read_bytes() == write_report(folder).read_bytes()


@pytest.mark.parametrize("part", ["log.jsonl", "result.json", "architecture.json", "config.yaml"])
def test_a_page_is_written_without_any_one_part(tmp_path, part):
    folder = write_small_run(tmp_path / "run")
    (folder / part).unlink()
    assert "<h1>run</h1>" in write_report(folder).read_text()


@pytest.mark.parametrize(
    ("events", "word"),
    [
        ([{"event": "step", "step": 1}], "not ended: the last step logged is 1"),
        (
            [
                {"event": "step", "step": 1, "loss": None},
                {"event": "theta", "step": 1, "theta": {"a": [1.0]}},
            ],
            "theta over the steps",
        ),
        ([{"event": "start"}], "no step logged"),
        (
            [{"event": "end", "step": 3, "reason": "patience"}],
            "no improvement for too long (patience) at step 3",
        ),
    ],
)
def test_a_run_that_has_hardly_begun_has_a_page(tmp_path, events, word):
    write_lines(tmp_path / "log.jsonl", events)
    text = Page(write_report(tmp_path).read_text()).text
    assert word in text
    assert "not known" in text


def test_a_search_that_lost_is_told_so_in_the_page(tmp_path):
    folder = write_small_run(tmp_path / "run")
    write_json(folder / "result.json", result(0.80))
    text = write_report(folder).read_text()
    assert "NOT better than the mean of its random peers" in text
    assert 'class="verdict bad"' in text


def test_a_tie_is_told_in_the_page_and_is_neither_good_nor_bad(tmp_path):
    folder = write_small_run(tmp_path / "run")
    write_json(folder / "result.json", result(0.1, (0.1,) * 9))
    text = write_report(folder).read_text()
    assert "tied first of 10" in Page(text).text
    assert 'class="verdict unknown"' in text


def test_several_seeds_have_one_page_and_a_link_to_each(tmp_path):
    folder = write_seeds_run(tmp_path / "runs")
    page = Page(write_report(folder).read_text())
    links = [value for name, value in page.attributes if name == "href"]
    assert links == [f"seed-{k}/report.html" for k in range(3)]
    assert all((folder / link).exists() for link in links)
    assert "better than random on 3 of 3" in page.text
    assert "mean +- sd" in page.text


def test_the_page_of_several_seeds_has_every_score(tmp_path):
    text = Page(write_report(write_seeds_run_of_two_scores(tmp_path / "runs")).read_text()).text
    for words in ("found (SSIM)", "random (SSIM)", "0.410 +- 0.050", "0.630 +- 0.028", "0.430 +- 0.028"):
        assert words in text


def test_seeds_without_a_folder_or_a_score_are_listed_without_a_link(tmp_path):
    seeds = [{"seed": 7, "found": None, "folder": "gone"}, {"seed": 8}]
    write_json(tmp_path / "summary.json", {"seeds": seeds})
    page = Page(write_report(tmp_path).read_text())
    assert "href" not in [name for name, _ in page.attributes]
    assert "not known" in page.text
    write_json(tmp_path / "summary.json", {"seeds": []})
    assert "No seed has a score yet" in write_report(tmp_path).read_text()


def test_a_report_that_fails_leaves_the_old_page_and_no_other_file(tmp_path):
    folder = write_small_run(tmp_path / "run")
    old = write_report(folder).read_bytes()
    files = sorted(folder.iterdir())
    loop = {"title": "x", "nodes": [{"id": "a"}], "edges": [{"from": "a", "to": "a"}]}
    write_json(folder / "graphs.json", [loop])
    with pytest.raises(RunError, match=r"graphs\.json: graph .*without cycles"):
        write_report(folder)
    (folder / "graphs.json").unlink()
    assert (folder / "report.html").read_bytes() == old
    assert sorted(folder.iterdir()) == files


def test_a_missing_library_is_an_error_that_says_how_to_install_it(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "networkx", None)
    with pytest.raises(RunError, match=r"the library networkx, .* pip install 'asng\[report\]'"):
        write_report(tmp_path)


def test_importing_the_report_loads_no_drawing_library():
    heavy = "{'matplotlib', 'networkx', 'jinja2', 'torch'}"
    code = f"import asng.report, sys; print(sorted({heavy} & sys.modules.keys()))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


@pytest.mark.slow
def test_a_log_of_a_million_lines_is_read_and_drawn_small(tmp_path):
    line = '{"event":"step","step":%d,"loss":%f,"objective":0.5,"entropy":0.9,"delta":1.0,"seconds":1.0}\n'
    with (tmp_path / "log.jsonl").open("w") as file:
        file.writelines(line % (n, 1 + n % 7) for n in range(1, 1_000_001))
    assert write_report(tmp_path).stat().st_size < 1_000_000


@pytest.mark.parametrize(
    ("counts", "said"),
    [
        ({"over_budget": 12, "evaluated": 48}, "; 12 of 48 candidates were over the budget"),
        ({"over_budget": 0, "evaluated": 0}, ""),  # all of the cost went into networks trained alone
        ({"evaluated": 48}, ""),
    ],
)
def test_what_was_over_the_budget_is_counted(counts, said, tmp_path):
    write_lines(tmp_path / "log.jsonl", [{"event": "end", "step": 4, "reason": "finished"} | counts])
    assert f">finished at step 4{said}<" in write_report(tmp_path).read_text()


def test_a_search_of_finalists_alone_names_no_step(tmp_path):
    finalist = {"event": "finalist", "number": 1, "architecture": {"op": "a"}, "alone": 0.5}
    write_lines(tmp_path / "log.jsonl", [finalist, {"event": "end", "step": 0, "reason": "finished"}])
    assert ">finished<" in write_report(tmp_path).read_text()


BREAKS_OUT = '"onmouseover="alert(1)'


@pytest.mark.parametrize(
    "evil", [EVIL, BREAKS_OUT, "'><img src=x onerror=alert(1)>", "</style><script>x</script>"]
)
def test_no_name_can_become_a_tag_or_an_attribute(evil, tmp_path):
    """As variable, choice, metric, score, setting, caption, label, run folder, reason, version and seed."""
    folder = tmp_path / evil.replace("/", "|")
    folder.mkdir()
    space = {evil: {"type": "categorical", "choices": [evil, "b"]}, f"{evil}.{evil}": SMALL["drop"]}
    architecture = write_log(folder, space, end=evil)
    others = {"others": {evil: 0.5}, "score": 0.5, "architecture": architecture}
    write_json(folder / "architecture.json", architecture)
    write_json(folder / "config.yaml", {evil: {evil: evil}})
    write_json(folder / "result.json", result(metric=evil, found=1.0) | {"found": others, "random": [others]})
    graph = {
        "title": evil,
        "nodes": [{"id": evil}, {"id": "b"}],
        "edges": [{"from": evil, "to": "b", "label": evil}],
    }
    write_json(folder / "graphs.json", [graph])
    write_json(folder / "pictures.json", {"caption": evil, "rows": [{"label": evil, "png": PNG}]})
    assert_tame(write_report(folder), evil)


@pytest.mark.parametrize("evil", [EVIL, BREAKS_OUT])
def test_no_name_in_any_other_page_can_become_a_tag_or_an_attribute(evil, tmp_path):
    pages = {
        "seeds": (
            "summary.json",
            {"metric": evil, "seeds": [{"seed": 0, "found": 1.0, "others": {evil: {}}}]},
        ),
        "toy": (
            "toy.json",
            {
                "settings": {"variables": 3, "choices": 2, "iterations": 9, evil: evil}
                | {name: [evil] for name in ("methods", "exponents", "learning_rates")},
                "versions": {evil: evil},
                "cells": [
                    {"method": evil, "exponent": 0.5, "learning_rate": 0.1}
                    | {
                        name: [3]
                        for name in ("stopped", "right_when_stopped", "found", "settled", "right_at_end")
                    }
                ],
            },
        ),
        "benchmark": (
            "benchmark.jsonl",
            {"problem": evil, "method": evil, "seed": 0, "budget": 9, "distinct": 3, "regret": [[1, 2.0]]}
            | {"versions": {evil: evil}},
        ),
        "minimize": (
            "log.jsonl",
            {"event": "start", "kind": "minimize", "settings": {evil: evil}, "versions": {evil: evil}},
            {"event": "evaluation", "generation": 0, "place": 0, "architecture": {evil: evil}}
            | {"loss": 1.0, "seconds": 0.1},
            {"event": "end", "reason": evil},
        ),
    }
    for name, (file, *rows) in pages.items():
        folder = tmp_path / name
        folder.mkdir()
        write_lines(folder / file, rows)
        assert_tame(write_report(folder, kinds=KINDS), evil)


PNG = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAAAAAA6fptVAAAACklEQVR4nGNgAAAAAgABSK+kcQAAAABJRU5ErkJggg=="


def assert_tame(path, evil):
    text = path.read_text(encoding="utf-8")
    page = Page(text)
    assert not {"script", "frac", "iframe", "object", "embed"} & set(page.tags)
    assert [name for name, _ in page.attributes if name.startswith("on")] == []
    assert all(value.startswith("data:image/png") for name, value in page.attributes if name == "src")
    for raw in ("<script", "</style><", "<img src=x", '"onmouseover', "<th></th>"):
        assert raw not in text
    assert evil in page.text or evil.replace("/", "|") in page.text or evil[:20] in page.text


@pytest.mark.parametrize(
    ("budget", "said"),
    [
        *((few, "expected `int` >= 1") for few in (0, -3)),
        (2**60, "expected `int` <= 9007199254740992"),
        (10**400, "expected `int`, got `float`"),
        (None, "expected `int`, got `null`"),
    ],
)
def test_a_budget_that_cannot_be_is_told_with_its_line(budget, said, tmp_path):
    row = {"problem": "p", "method": "m", "seed": 0, "budget": budget, "regret": [[1, 2.0]]}
    write_lines(tmp_path / "benchmark.jsonl", [row])
    with pytest.raises(RunError, match=rf"benchmark\.jsonl, line 1: {said} - at `\$\.budget`"):
        write_report(tmp_path, kinds=KINDS)


def test_a_count_that_is_none_is_told_with_its_line(tmp_path):
    write_lines(tmp_path / "log.jsonl", [{"event": "end", "over_budget": "<b>", "evaluated": 48}])
    with pytest.raises(RunError, match=r"line 1: expected `int \| null`, got `str` - at `\$\.over_budget`"):
        write_report(tmp_path)


def test_finalists_stand_in_a_table_with_what_tells_them_apart(tmp_path):
    run = write_small_run(tmp_path / "run")
    before = write_report(run).read_text()
    assert "The final" not in before
    assert "in the final another" not in before
    found = json.loads((run / "architecture.json").read_text())
    other = found | {"op": EVIL, "drop": 0.123456}
    with (run / "log.jsonl").open("a") as log:
        told = (EVIL, other, 0.61, 0.72), ("uniform", found, 0.62, None)
        for number, (road, architecture, shared, alone) in enumerate(told, start=1):
            event = {"event": "finalist", "number": number, "road": road, "architecture": architecture}
            log.write(json.dumps(event | {"shared": shared, "alone": alone}) + "\n")
    text = write_report(run).read_text()
    assert "in the final another" in text
    section = text[text.index("<h2>The final</h2>") :]
    section = section[: section.index("</section>")]
    assert "The best one was trained again for\nlonger, or the best two of more than eight" in section
    assert [f"<th>{name}</th>" in section for name in ("op", "drop", "width")] == [True, True, False]
    assert "0.1235" in section
    assert "<script>alert" not in section
    assert section.count('<tr class="strong">') == 1
    assert "0.620" in section[section.index('<tr class="strong">') :]
    assert section.index("drawn uniformly") > section.index('<tr class="strong">')


def test_marks_that_turn_the_writing_direction_are_shown_as_such(tmp_path):
    folder = write_small_run(tmp_path / "run\u202egnp")
    text = write_report(folder).read_text()
    assert "\u202e" not in text
    assert "<h1>run\\u202egnp</h1>" in text
