"""Small run folders of a stranger whose report would take minutes, or gigabytes."""

import json
from itertools import pairwise

import pytest
from malformed.judge import within
from rich.console import Console

from asng.cli.tell import KINDS
from asng.errors import RunError
from asng.report import summary_table, write_report

SECONDS = 4.0
"""Of this process: most take a few tenths, the largest allowed figures two seconds."""


def _lines(folder, name, rows):
    (folder / name).write_text("".join(json.dumps(row) + "\n" for row in rows))


def _json(folder, name, data):
    (folder / name).write_text(json.dumps(data))


def _graph(folder, nodes, edges, copies=1):
    graph = {"nodes": [{"id": n} for n in nodes], "edges": [{"from": a, "to": b} for a, b in edges]}
    _json(folder, "graphs.json", [graph] * copies)


def chain(folder):
    """A thousand nodes in a row, and a thousand edges round them all."""
    nodes = [str(n) for n in range(1_000)]
    _graph(folder, nodes, [*pairwise(nodes), *[(nodes[0], nodes[-1])] * 1_000])


def parallel(folder):
    _graph(folder, "ab", [("a", "b")] * 20_000)


def many_graphs(folder):
    _graph(folder, "ab", [("a", "b")] * 50, copies=500)


def seeds_of_one_folder(folder):
    (folder / "s").mkdir()
    _json(folder / "s", "architecture.json", {})
    _json(folder, "summary.json", {"seeds": [{"seed": n, "folder": "s"} for n in range(1_000)]})


def seeds_of_many_scores(folder):
    seeds = [{"seed": n, "others": {f"o{n}.{i}": {} for i in range(20)}} for n in range(1_000)]
    _json(folder, "summary.json", {"seeds": seeds})


def peers_of_many_scores(folder):
    peers = [{"score": n, "others": {f"o{n}.{i}": 1.0 for i in range(5)}} for n in range(5_000)]
    _json(folder, "result.json", {"found": {"score": 1.0}, "random": peers})


def variables(folder):
    space = {f"v{n}": {"type": "integer", "low": 0, "high": 9} for n in range(3_000)}
    thetas = [
        {"event": "theta", "step": t, "theta": {v: {"mean": 1, "std": 1} for v in space}} for t in (1, 2)
    ]
    _lines(folder, "log.jsonl", [{"event": "start", "space": space}, *thetas])


def choices(folder):
    space = {"op": {"type": "categorical", "choices": [f"choice {n}" for n in range(20_000)]}}
    thetas = [{"event": "theta", "step": t, "theta": {"op": [0.5] * 20_000}} for t in (1, 2)]
    _lines(folder, "log.jsonl", [{"event": "start", "space": space}, *thetas])
    _json(folder, "architecture.json", {"op": "choice 19999"})


def black_box(folder):
    space = {f"v{n}": {"type": "integer", "low": 0, "high": 9} for n in range(2_000)}
    start = {"event": "start", "kind": "minimize", "space": space}
    calls = [
        {"event": "evaluation", "generation": n, "place": 0, "loss": n % 7, "seconds": 0.0}
        | {"architecture": dict.fromkeys(space, n % 10)}
        for n in range(64)
    ]
    theta = {"event": "theta", "step": 2, "theta": {v: {"mean": 1, "std": 1} for v in space}}
    _lines(folder, "log.jsonl", [start, *calls, theta])


def black_box_of_one_choice(folder):
    space = {"op": {"type": "categorical", "choices": list(range(100_000))}}
    start = {"event": "start", "kind": "minimize", "space": space}
    calls = [
        {"event": "evaluation", "generation": n, "place": 0, "loss": n % 7, "seconds": 0.0}
        | {"architecture": {"op": 99_999 - n}}
        for n in range(2_000)
    ]
    theta = {"event": "theta", "step": 2, "theta": {"op": [1e-5] * 100_000}}
    _lines(folder, "log.jsonl", [start, *calls, theta])


def finalists(folder):
    rows = [
        {"event": "finalist", "number": n, "architecture": {f"v{n}.{i}": i for i in range(4)}}
        for n in range(10_000)
    ]
    _lines(folder, "log.jsonl", rows)


def resumes(folder):
    _lines(folder, "resumes.jsonl", [{"step": n} for n in range(100_000)])
    _lines(folder, "log.jsonl", [{"event": "start"}])


def long_names(folder):
    space = {"n" * 10**6 + str(n): {"type": "integer", "low": 0, "high": 9} for n in range(3)}
    thetas = [
        {"event": "theta", "step": t, "theta": {v: {"mean": 1, "std": 1} for v in space}} for t in (1, 2)
    ]
    _lines(folder, "log.jsonl", [{"event": "start", "space": space}, *thetas])
    _json(folder, "result.json", {"metric": "m" * 10**6, "found": {"score": 1.0}, "random": [{"score": 0.5}]})


def long_settings(folder):
    inner = "".join(f"  {n}: 1\n" for n in range(4_000))
    (folder / "config.yaml").write_text(f"? {'k' * 60_000}\n:\n{inner}")


def pictures(folder):
    _json(folder, "pictures.json", {"rows": [{"png": "iVBORw0KGgo="}] * 100_000})
    _json(folder, "architecture.json", {})


def benchmark(folder):
    cell = {"budget": 5, "seed": 0}
    _lines(
        folder,
        "benchmark.jsonl",
        [cell | {"problem": f"p{n % 300}", "method": f"m{n}"} for n in range(20_000)],
    )


def benchmark_of_many_problems(folder):
    cell = {"budget": 5, "seed": 0, "hit": 3, "regret": [[1, 2.0], [3, 1.0]]}
    rows = [
        cell | {"problem": f"p{n}", "method": method} for n in range(500) for method in ("ASNG", "random")
    ]
    _lines(folder, "benchmark.jsonl", rows)


def toy(folder):
    columns = ("stopped", "right_when_stopped", "found", "settled")
    cell = {name: [1] for name in columns} | {"right_at_end": [1], "exponent": 0.5, "method": "m"}
    settings = {"variables": 3, "choices": 2, "iterations": 9, "methods": [], "exponents": []}
    cells = [cell | {"learning_rate": n} for n in range(2_000)]
    _json(folder, "toy.json", {"settings": settings | {"learning_rates": []}, "cells": cells})


def compression(folder):
    child = {"goal": "g", "score": 1.0, "widths": {f"l{n}": [1, 2] for n in range(150)}}
    _json(folder, "compression.json", {"model": {"score": 1.0}, "children": [child] * 300})
    _lines(folder, "compression.jsonl", [{}])


def compression_of_many_costs(folder):
    costs = {f"c{n}": 1.0 for n in range(3_000)}
    points = [[1.0, 2.0]] * 100_000
    _json(
        folder,
        "compression.json",
        {
            "model": {"score": 1.0, "costs": costs},
            "children": [{"goal": "g", "costs": costs}],
            "points": points,
        },
    )
    _lines(folder, "compression.jsonl", [{}])


FAST = (
    *(
        chain,
        parallel,
        seeds_of_one_folder,
        peers_of_many_scores,
        choices,
        black_box_of_one_choice,
        finalists,
    ),
    *(long_names, long_settings, pictures),
)
SLOW = (
    *(many_graphs, seeds_of_many_scores, variables, black_box, resumes, benchmark_of_many_problems),
    *(compression, compression_of_many_costs),
)


@pytest.mark.parametrize(
    "write",
    [*FAST, *(pytest.param(case, marks=pytest.mark.slow) for case in SLOW)],
    ids=lambda write: write.__name__,
)
def test_the_report_of_a_small_folder_takes_seconds_and_is_no_larger(write, tmp_path):
    write(tmp_path)
    size = sum(file.stat().st_size for file in tmp_path.rglob("*"))
    with within(SECONDS):
        page = write_report(tmp_path, kinds=KINDS).read_text()
        with (tmp_path / "terminal").open("w") as terminal:
            Console(file=terminal, width=200, soft_wrap=True).print(summary_table(tmp_path, kinds=KINDS))
    assert len(page) + (tmp_path / "terminal").stat().st_size < 20 * size + 10_000_000


@pytest.mark.parametrize("write", [benchmark, toy])
def test_a_grid_that_no_experiment_has_is_refused(write, tmp_path):
    write(tmp_path)
    with within(SECONDS), pytest.raises(RunError, match="expected at most"):
        write_report(tmp_path, kinds=KINDS)


@pytest.mark.parametrize(
    ("write", "words"),
    [
        (chain, "Of 1 graphs, the first 0 are shown."),
        (finalists, "Of 10,000 finalists, the first 500 are shown."),
        (pictures, "Of 100,000 pictures, the first 200 are shown."),
        (seeds_of_one_folder, "Of 1,000 seeds, the first 64 are shown."),
    ],
)
def test_a_page_says_what_it_leaves_out(write, words, tmp_path):
    write(tmp_path)
    assert words in write_report(tmp_path).read_text()


@pytest.mark.parametrize("great", [1e308, 5e-324, 1e154])
def test_numbers_that_cannot_be_drawn_are_told(great, tmp_path):
    seeds = [{"seed": n, "found": n * great, "random_mean": -great, "random_sd": great} for n in range(2)]
    _json(tmp_path, "summary.json", {"seeds": [*seeds, {"seed": 3, "found": 0.5, "random_mean": 0.25}]})
    page = write_report(tmp_path).read_text()
    assert "Found against random, seed by seed" in page
    assert ("These numbers cannot be drawn." in page) == (great == 1e308)
