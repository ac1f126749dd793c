"""Is a network that `asng.compress` made smaller better than one of the same cost by another tool?

    python -m benchmarks.trained.compression [--data fashion cifar] [--networks ...] [--methods ...]
        [--seeds 5] [--summary]

Four networks (residual, MobileNetV2-like, ViT-like, and BERT-like with rows of the image as tokens) are
trained on 3,000 images of Fashion-MNIST at 14x14 or CIFAR-10 (JPEG) at 16x16, and cut to half and a quarter
of their multiply-adds. Fine-tuning is the same for all: six epochs of the same images with AdamW at the
learning rate of their training, a cosine schedule, the same seed, and half of the loss from the original
model as teacher. Another 500 images are validation data for the ways that score networks in their search, all
by accuracy. The result is the accuracy on the test images.

Seconds are CPU time of one thread, so that other work on the machine does not count. The search is all that
comes before the fine-tuning of the child: conversion, shared weights, scores, finalists.

Rows are added to `results/compression.lines` as they end, and are not measured again; together they become
`results/compression.json`. The two rivals have an environment of their own: see benchmarks/README.md.
"""

import argparse
import json
import os
import time
import warnings
from collections.abc import Iterator, Sequence
from importlib.metadata import PackageNotFoundError, version
from math import sqrt
from statistics import fmean, stdev
from typing import Any

import torch

from asng.costs import multiply_adds
from asng.training import accuracy, count_parameters, score
from benchmarks.record import RESULTS, commit, write
from benchmarks.trained.cells import CHOICE, ITEMS, MAKERS, TRAINING, Cell, cell
from benchmarks.trained.rivals import RIVALS
from benchmarks.trained.ways import EPOCHS, WAYS, Way

METHODS = WAYS | RIVALS
BUDGETS = (0.5, 0.25)
OURS = ("asng frozen", "asng")
LINES = RESULTS / "compression.lines"
SEVERAL = 3
"""From this many seeds on, standard errors come from the spread of differences over seeds."""


def rows(here: Cell, method: str, way: Way) -> Iterator[dict[str, Any]]:
    """Yield a row for each budget; if a tool cannot cut the network, the row has its error message."""
    same = {"data": here.data, "network": here.network, "seed": here.seed, "method": method}
    whole = score(here.model, here.test, accuracy)
    costs = multiply_adds(here.model, (here.example,)), count_parameters(here.model)
    same |= {"commit": commit(), "items": len(here.test.dataset), "whole": round(whole, 4)}  # type: ignore[arg-type]
    begin, done = time.perf_counter(), 0
    try:
        for child in way(here, BUDGETS):
            done += 1
            share = multiply_adds(child.network, (here.example,)) / costs[0]
            yield same | {
                "budget": child.budget,
                "accuracy": round(score(child.network, here.test, accuracy), 4),
                "before": None if child.before is None else round(child.before, 4),
                "multiply_adds": round(share, 4),
                "parameters": round(count_parameters(child.network) / costs[1], 4),
                "search_seconds": round(child.search_seconds, 2),
                "tuning_seconds": round(child.tuning_seconds, 2),
                "wall_seconds": round(time.perf_counter() - begin, 1),
                "load": round(os.getloadavg()[0], 1),
                **child.notes,
            }
    except Exception as error:  # whatever another tool raises is its result
        if method in WAYS:
            raise
        for budget in BUDGETS[done:]:
            yield same | {"budget": budget, "failed": f"{type(error).__name__}: {error}"[:200]}


# --- the table -------------------------------------------------------------------------------------------


def means(found: Sequence[dict[str, Any]]) -> dict[str, dict[str, Any]]:
    """Return accuracy, its standard error over seeds, and costs, by cell and method."""
    table: dict[str, dict[str, Any]] = {}
    for row in sorted(found, key=lambda row: (-row["budget"], row["data"] != "fashion")):
        table.setdefault(_label(row), {})
    for label, line in table.items():
        rows_here = [row for row in found if _label(row) == label]
        line["whole"] = fmean({row["seed"]: row["whole"] for row in rows_here}.values())
        line["seeds"] = len({row["seed"] for row in rows_here})
        for method in METHODS:
            own = [row for row in rows_here if row["method"] == method]
            some = [row for row in own if "failed" not in row]
            line[method] = {"seeds": len(some), "failed": len(own) - len(some)}
            for name in (
                "accuracy",
                "before",
                "multiply_adds",
                "parameters",
                "search_seconds",
                "tuning_seconds",
            ):
                values = [row[name] for row in some if row[name] is not None]
                if values:
                    line[method][name] = round(fmean(values), 4)
            if len(some) > 1:
                line[method]["error"] = round(stdev(row["accuracy"] for row in some) / sqrt(len(some)), 4)
    return table


def _label(row: dict[str, Any]) -> str:
    return f"{row['data']} {row['network']} {row['budget']:g}"


def beside(found: Sequence[dict[str, Any]], ours: str, other: str) -> dict[str, Any]:
    """Return in how many cells one way is ahead of another, on the seeds that both have.

    The standard error is that of the differences over seeds. With fewer seeds than `SEVERAL`, it is that of
    two independent draws of as many test images.
    """
    cells: dict[str, list[tuple[dict[str, Any], dict[str, Any]]]] = {}
    keyed = {
        (_label(row), row["seed"]): row for row in found if row["method"] == other and "failed" not in row
    }
    for row in found:
        if row["method"] == ours and (_label(row), row["seed"]) in keyed:
            cells.setdefault(_label(row), []).append((row, keyed[_label(row), row["seed"]]))
    counts = {"cells": len(cells), "ahead": 0, "behind": 0, "behind_by_more_than_an_error": 0}
    differences, ratios = [], []
    for pairs in cells.values():
        gains = [own["accuracy"] - theirs["accuracy"] for own, theirs in pairs]
        p = fmean(theirs["accuracy"] for _, theirs in pairs)
        error = (
            stdev(gains) / sqrt(len(gains))
            if len(gains) >= SEVERAL
            else sqrt(2 * p * (1 - p) / (pairs[0][0]["items"] * len(gains)))
        )
        differences.append(fmean(gains))
        counts["ahead"] += differences[-1] > 0
        counts["behind"] += differences[-1] < 0
        counts["behind_by_more_than_an_error"] += differences[-1] < -error
        if all(theirs["search_seconds"] > 0 for _, theirs in pairs):
            ratios.append(fmean(own["search_seconds"] / theirs["search_seconds"] for own, theirs in pairs))
    failed = {_label(row) for row in found if row["method"] == other and "failed" in row} - cells.keys()
    return {
        **counts,
        "failed": len(failed),
        "gain": round(fmean(differences), 4) if differences else None,
        "worst": round(min(differences), 4) if differences else None,
        "search_time_ratio": round(fmean(ratios), 2) if ratios else None,
    }


def summary(found: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Return the tables; print them."""
    table = means(found)
    for label, line in table.items():
        print(f"{label:24} whole {line['whole']:.3f}, {line['seeds']} seeds")
        for method in METHODS:
            own = line[method]
            print(f"    {method:26}", *(f"{name} {value:g}" for name, value in own.items()))
    wins = {}
    for ours in OURS:
        wins[ours] = {other: beside(found, ours, other) for other in METHODS if other != ours}
        for other, counts in wins[ours].items():
            print(f"{ours} beside {other}:", counts)
    rivals = {}
    for name in ("torch-pruning", "nvidia-modelopt"):
        try:
            rivals[name] = version(name)
        except PackageNotFoundError:
            continue
    settings = {
        "training_items": ITEMS,
        "choice_items": CHOICE,
        "training_epochs": TRAINING,
        "fine_tuning_epochs": EPOCHS,
        "rivals": rivals,
    }
    return settings | {"cells": table, "beside": wins}


def main() -> None:
    """Measure what is missing."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", nargs="+", choices=tuple(TRAINING), default=list(TRAINING))
    parser.add_argument("--networks", nargs="+", choices=tuple(MAKERS), default=list(MAKERS))
    parser.add_argument("--methods", nargs="+", choices=tuple(METHODS), default=list(METHODS))
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--summary", action="store_true", help="measure nothing, write the JSON anew")
    options = parser.parse_args()
    torch.set_num_threads(1)
    warnings.filterwarnings("ignore")
    RESULTS.mkdir(exist_ok=True)
    # The repository keeps the JSON, not the lines.
    kept = RESULTS / "compression.json"
    if not LINES.exists() and kept.exists():
        LINES.write_text("".join(json.dumps(row) + "\n" for row in json.loads(kept.read_text())["runs"]))
    found = [json.loads(line) for line in LINES.read_text().splitlines()] if LINES.exists() else []
    if options.summary:
        write("compression", summary(found), found)
        return
    for seed in range(options.seeds):
        for data in options.data:
            for network in options.networks:
                for method in options.methods:
                    same = {"data": data, "network": network, "seed": seed, "method": method}.items()
                    known = {row["budget"] for row in found if same <= row.items()}
                    if len(known) == len(BUDGETS):
                        continue
                    for row in rows(cell(network, data, seed), method, METHODS[method]):
                        if row["budget"] in known:
                            continue
                        found.append(row)
                        with LINES.open("a") as file:
                            file.write(json.dumps(row) + "\n")
                        shown = ("data", "network", "seed", "method", "budget", "accuracy", "failed")
                        print(*(row[name] for name in shown if name in row), flush=True)


if __name__ == "__main__":
    main()
