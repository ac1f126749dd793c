"""Which score before fine-tuning tells what fine-tuning makes of a narrow network?

    python -m benchmarks.trained.proxies [--seeds 2] [--summary]

Three small networks are trained on digits (with noise, since they are too easy without) and on
JapaneseVowels, as pictures. Neither is among the data that `asng.compress` is measured on. Of each network,
16 architectures that use up half, or a quarter, of the multiply-adds are given every score, then fine-tuned
in full. A score is judged by its rank correlations with loss and error on test data after that. It is also
judged by how far its best architecture is ahead of the mean of all 16, in their standard deviations.

Rows are written as they end, and are not measured again.
"""

import argparse
import json
import random
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from itertools import islice
from statistics import fmean, stdev
from typing import Any

import torch
from scipy.stats import spearmanr
from torch import Tensor, nn
from torch.nn.functional import cross_entropy
from torch.utils.data import DataLoader, TensorDataset

from asng.compression import evenly_within, goals_of, neighbour
from asng.costs import multiply_adds
from asng.nn import Importance, Supernet, searchable
from asng.space import Architecture
from asng.training import adamw, cosine, distilled, recalibrate, relative_error, train
from benchmarks.record import RESULTS, write
from benchmarks.trained.networks import DATA, LOSS, NETWORKS

LINES = RESULTS / "proxies.lines"
CHOSEN_BY, NUMBER, EPOCHS, SHORT, BATCHES = 200, 16, 6, 2, 8
NOISE = 0.5
"""Standard deviation of the noise on the digits, whose pixels are in [-1, 1]."""
TEACHING = 0.5


def data_of(name: str, seed: int) -> list[tuple[Tensor, Tensor]]:
    """Return training, validation and test data."""
    x, y, x_test, y_test = DATA[name]()
    if name == "digits":
        draws = torch.Generator().manual_seed(0)
        x, x_test = (part + NOISE * torch.randn(part.shape, generator=draws) for part in (x, x_test))
    x, y = torch.cat([x, x_test]), torch.cat([y, y_test])
    order = torch.randperm(len(x), generator=torch.Generator().manual_seed(seed))
    rest = len(x) - CHOSEN_BY
    parts = order[: rest // 2], order[rest:], order[rest // 2 : rest]
    return [(x[part], y[part]) for part in parts]


def told(network: nn.Module, model: nn.Module, valid: tuple[Tensor, Tensor]) -> dict[str, float]:
    """Return all scores of a network, each to minimise."""
    x, y = valid
    with torch.no_grad():
        outputs, wanted = network.eval()(x), model(x)
    loss, distance = float(cross_entropy(outputs, y)), float(relative_error(outputs, wanted))
    return {
        "error": float((outputs.argmax(1) != y).float().mean()),
        "loss": loss,
        "distance from the model": distance,
        "both": (1.0 - TEACHING) * loss + TEACHING * distance,
    }


def counted(supernet: Supernet, item: Tensor) -> Callable[[Sequence[Architecture]], list[dict[str, float]]]:
    """Return a function that counts the multiply-adds of an architecture on one item."""

    def cost(some: Sequence[Architecture]) -> list[dict[str, float]]:
        children = (supernet.extract(one, example=item.expand(3, *item.shape[1:])) for one in some)
        return [{"multiply_adds": multiply_adds(child, (item,))} for child in children]

    return cost


def architectures(
    supernet: Supernet, cost: Any, share: float, seed: int, *, number: int = NUMBER
) -> list[Architecture]:
    """Return the even architecture, and random walks from it that use up the budget."""
    [goal] = goals_of(share, None)
    whole = cost([Architecture({n: v.uniform(1 - 1e-9) for n, v in supernet.space.items()})])[0]
    limit = share * whole["multiply_adds"]
    goal = replace(goal, budgets=tuple(replace(b, limit=limit, share=None) for b in goal.budgets))
    found, rng = [evenly_within(supernet.space, cost, goal)], random.Random(seed)
    while len(found) < number:
        here = found[0]
        for _ in range(rng.choice((1, 2, 4, 8, 16))):
            near = neighbour(supernet.space, here, rng)
            costs = cost([near])[0]["multiply_adds"]
            if 0.9 * limit <= costs <= limit:
                here = near
        if here not in found:
            found.append(here)
    return found


def rows(data: str, network: str, seed: int, share: float) -> Any:
    """Yield a row for each architecture."""
    known, valid, test = data_of(data, seed)
    draws = torch.Generator().manual_seed(seed)
    loader = DataLoader(TensorDataset(*known), 64, shuffle=True, drop_last=True, generator=draws)
    torch.manual_seed(seed)
    model = NETWORKS[network](known[0].shape[1], int(known[1].max()) + 1)
    train(model, loader, loss=LOSS, epochs=20, optimizer=adamw)
    model.eval()
    example = known[0][:3]
    supernet = searchable(model, example, order=Importance("outputs", loader, LOSS))
    few, loss = list(islice(loader, BATCHES)), distilled(model, LOSS, TEACHING)

    def tuned(child: nn.Module, batches: Any, epochs: int, schedule: Any) -> nn.Module:
        torch.manual_seed(seed)
        train(child, batches, loss=loss, epochs=epochs, optimizer=adamw, scheduler=schedule, clip=5.0)
        return child

    for number, architecture in enumerate(
        architectures(supernet, counted(supernet, known[0][:1]), share, seed)
    ):
        child = partial(supernet.extract, architecture, example=example)
        networks = {"as cut": child(), "as cut, recalibrated": recalibrate(child(), few, loss=LOSS)}
        for steps in (4, 8):
            networks[f"{steps} steps"] = tuned(child(), few[:steps], 1, None)
            networks[f"{steps} steps, recalibrated"] = recalibrate(
                tuned(child(), few[:steps], 1, None), few, loss=LOSS
            )
        networks[f"{SHORT} epochs"] = tuned(child(), loader, SHORT, cosine)
        networks[f"{SHORT} epochs, recalibrated"] = recalibrate(
            tuned(child(), loader, SHORT, cosine), few, loss=LOSS
        )
        end = recalibrate(tuned(child(), loader, EPOCHS, cosine), loader, loss=LOSS)
        scores = {f"{n}: {k}": v for n, one in networks.items() for k, v in told(one, model, valid).items()}
        yield {
            "data": data, "network": network, "seed": seed, "share": share, "number": number,
            "whole": told(model, model, test)["error"],
            "end": told(end, model, test),
            "scores": {name: round(value, 5) for name, value in scores.items()},
        }  # fmt: skip


def summary(found: list[dict[str, Any]]) -> dict[str, Any]:
    """Return how well each score predicts, on average over all cells, and print it."""
    cells: dict[tuple[Any, ...], list[dict[str, Any]]] = {}
    for row in found:
        cells.setdefault((row["data"], row["network"], row["seed"], row["share"]), []).append(row)
    cells = {cell: rows_here for cell, rows_here in cells.items() if len(rows_here) == NUMBER}
    table: dict[str, dict[str, float]] = {}
    for way in ["even", *found[0]["scores"]]:
        values: dict[str, list[float]] = {}
        for rows_here in cells.values():
            scores = [row["scores"].get(way, row["number"]) for row in rows_here]
            for name in ("loss", "error"):
                ends = [row["end"][name] for row in rows_here]
                best = min(range(NUMBER), key=scores.__getitem__)
                # Scores that are all the same predict nothing.
                rank = spearmanr(scores, ends).statistic if len(set(scores)) > 1 else 0.0
                values.setdefault(f"rank, {name}", []).append(rank)
                gain = (fmean(ends) - ends[best]) / max(stdev(ends), 1e-9)
                values.setdefault(f"gain, {name}", []).append(gain)
        table[way] = {name: round(fmean(some), 2) for name, some in values.items()}
        print(f"{way:45}", *(f"{name} {value:5.2f}  " for name, value in table[way].items()))
    print(len(cells), "cells")
    return {"ways": table, "cells": len(cells)}


def main() -> None:
    """Measure what is missing."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=2)
    parser.add_argument("--summary", action="store_true")
    options = parser.parse_args()
    torch.set_num_threads(1)
    found = [json.loads(line) for line in LINES.read_text().splitlines()] if LINES.exists() else []
    if options.summary:
        write("proxies", summary(found), found)
        return
    for seed in range(options.seeds):
        for share in (0.5, 0.25):
            for data in ("digits", "vowels"):
                for network in ("residual", "mobile", "encoder"):
                    same = {"data": data, "network": network, "seed": seed, "share": share}.items()
                    if sum(same <= row.items() for row in found) >= NUMBER:
                        continue
                    for row in rows(data, network, seed, share):
                        found.append(row)
                        with LINES.open("a") as file:
                            file.write(json.dumps(row) + "\n")
                    print(data, network, seed, share, flush=True)
                    summary(found)


if __name__ == "__main__":
    main()
