"""Which channels should a narrow child of a trained network keep?

    python -m benchmarks.trained.importance choose|praise [NETWORK ...] [--seeds 3]

Four small networks are trained, then narrowed to the same share of all widths without any further training.
The order is that of position, random, or by each kind of importance, which sees 8 batches of 64 training
items. Batch norms are recalibrated on 16 batches; accuracy is measured on the test data. `choose` uses digits
and JapaneseVowels, as pictures; the default kind was chosen on these. `praise` uses Fashion-MNIST and
CIFAR-10 (JPEG), which did not influence that choice. Rows are written as they end, and are not measured
again.
"""

import argparse
import json
import random
from collections import defaultdict
from collections.abc import Sequence
from itertools import islice
from statistics import fmean, stdev
from typing import Any

import torch
from torch import Tensor, nn

from asng.nn import Importance, Supernet, searchable
from asng.training import accuracy, count_parameters, recalibrate, score
from benchmarks.record import RESULTS, write
from benchmarks.trained.networks import LOSS, NETWORKS, loaders, trained

DATA = {"choose": ("digits", "vowels"), "praise": ("fashion", "cifar")}
SHARES = {"0.75": 0.75, "0.5": 0.5}
BATCHES, RECALIBRATION = 8, 16


def orders(data: str, seed: int) -> dict[str, Any]:
    """Return the orders that are compared."""
    batches = list(islice(loaders(data, seed)[0], BATCHES))
    draw = torch.Generator().manual_seed(seed)

    def at_random(_: str, layer: nn.Module) -> Tensor:
        """Return one random number for each output channel of a layer."""
        width = layer.embedding_dim if isinstance(layer, nn.Embedding) else layer.weight.shape[0]
        return torch.rand(width, generator=draw)

    kinds = ("outputs", "taylor", "activation", "magnitude")
    return {"position": None, "random": at_random, **{k: Importance(k, batches, LOSS) for k in kinds}}


def narrow(supernet: Supernet, shares: Sequence[float]) -> dict[str, int]:
    """Return the architecture that keeps a share of each width."""
    architecture = {}
    for group, share in zip(supernet.conversion.groups, shares, strict=True):
        units = max(group.least, round(share * group.units))
        architecture[group.name] = units * group.step if group.is_counted_in_channels else units
    return architecture


def rows(network: str, data: str, seed: int, known: set[str]) -> Any:
    """Yield the result of each order."""
    wanted = {name: order for name, order in orders(data, seed).items() if name not in known}
    if not wanted:
        return
    model = trained(network, data, seed)
    train_loader, test = loaders(data, seed)
    example = next(iter(train_loader))[0][:4]
    whole = score(model, test, accuracy)
    for name, order in wanted.items():
        supernet = searchable(model, example, order=order, least=0.5, depth=False)
        number = len(supernet.conversion.groups)
        rng = random.Random(seed)
        mixed = [[rng.choice((0.5, 0.625, 0.75, 0.875, 1.0)) for _ in range(number)] for _ in range(3)]
        row: dict[str, Any] = {"network": network, "data": data, "seed": seed, "order": name, "whole": whole}
        for label, draws in ({k: [[s] * number] for k, s in SHARES.items()} | {"mixed": mixed}).items():
            children = [supernet.extract(narrow(supernet, shares), example=example) for shares in draws]
            for child in children:
                recalibrate(child, train_loader, loss=LOSS, batches=RECALIBRATION)
            parameters = fmean(count_parameters(child) for child in children)
            row[f"parameters {label}"] = round(parameters / count_parameters(model), 3)
            row[f"accuracy {label}"] = round(fmean(score(child, test, accuracy) for child in children), 4)
        yield row


def table(found: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return means and standard errors over seeds for each network, data set and order; print them."""
    cells = defaultdict(list)
    for row in found:
        cells[row["network"], row["data"], row["order"]].append(row)
        cells["all", row["data"], row["order"]].append(row)
    lines = []
    for (network, data, order), some in sorted(cells.items()):
        line: dict[str, Any] = {"network": network, "data": data, "order": order, "rows": len(some)}
        for label in ("whole", *(f"accuracy {share}" for share in (*SHARES, "mixed"))):
            values = [row[label] for row in some]
            line[label] = round(fmean(values), 3)
            if network != "all" and len(values) > 1:
                line[f"error {label}"] = round(stdev(values) / len(values) ** 0.5, 3)
        lines.append(line)
        print("  ".join(f"{value}" for value in line.values()), flush=True)
    return lines


def main() -> None:
    """Measure what is missing."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("part", choices=tuple(DATA))
    parser.add_argument("networks", nargs="*", choices=[[], *NETWORKS], default=[])
    parser.add_argument("--seeds", type=int, default=3)
    options = parser.parse_args()
    torch.set_num_threads(1)
    name = f"importance_{options.part}"
    path = RESULTS / f"{name}.json"
    found = json.loads(path.read_text())["runs"] if path.exists() else []
    for seed in range(options.seeds):
        for data in DATA[options.part]:
            for network in options.networks or NETWORKS:
                same = {"network": network, "data": data, "seed": seed}.items()
                known = {row["order"] for row in found if same <= row.items()}
                for row in rows(network, data, seed, known):
                    found.append(row)
                    print(json.dumps(row), flush=True)
                    write(name, {"batches": BATCHES, "recalibration_batches": RECALIBRATION}, found)
    write(name, {"batches": BATCHES, "recalibration_batches": RECALIBRATION, "means": table(found)}, found)


if __name__ == "__main__":
    main()
