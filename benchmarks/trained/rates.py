"""Do a few steps tell which learning rate is best for a long fine-tuning?

    python -m benchmarks.trained.rates [--seeds 1] [--summary]

Even networks of a quarter and half of the multiply-adds, from the networks and data of `proxies.py`, are
fine-tuned at six learning rates of AdamW: for eight steps, judged by the loss on validation data, and in
full, judged by loss and accuracy on test data. For comparison, the same networks are trained from scratch,
for as long as the whole network and a fine-tuning together.

Rows are written as they end, and are not measured again.
"""

import argparse
import json
from functools import partial
from itertools import islice
from statistics import fmean
from typing import Any

import torch
from torch.utils.data import DataLoader, TensorDataset

from asng.nn import Importance, searchable
from asng.training import accuracy, adamw, cosine, distilled, recalibrate, score, train
from benchmarks.record import RESULTS, write
from benchmarks.trained.networks import LOSS, NETWORKS
from benchmarks.trained.proxies import BATCHES, EPOCHS, TEACHING, architectures, counted, data_of

LINES = RESULTS / "rates.lines"
RATES = (0.0005, 0.001, 0.002, 0.004, 0.008, 0.016, 0.032)
TRAINING = 20


def rows(data: str, network: str, seed: int) -> Any:
    """Yield a row for each share of the multiply-adds."""
    known, valid, test = data_of(data, seed)

    def loader() -> DataLoader[Any]:
        order = torch.Generator().manual_seed(seed)
        return DataLoader(TensorDataset(*known), 64, shuffle=True, drop_last=True, generator=order)

    chosen_by, tests = (DataLoader(TensorDataset(*part), 500) for part in (valid, test))
    torch.manual_seed(seed)
    model = NETWORKS[network](known[0].shape[1], int(known[1].max()) + 1)
    train(model, loader(), loss=LOSS, epochs=TRAINING, optimizer=partial(adamw, learning_rate=3e-3))
    model.eval()
    example, loss = known[0][:3], distilled(model, LOSS, TEACHING)
    supernet = searchable(model, example, order=Importance("outputs", loader(), LOSS))
    few = list(islice(loader(), BATCHES))

    def tuned(child: Any, batches: Any, rate: float, epochs: int, schedule: Any) -> Any:
        torch.manual_seed(seed)
        optimizer = partial(adamw, learning_rate=rate)
        train(child, batches, loss=loss, epochs=epochs, optimizer=optimizer, scheduler=schedule, clip=5.0)
        return recalibrate(child, batches, loss=LOSS)

    for share in (0.25, 0.5):
        [even] = architectures(supernet, counted(supernet, known[0][:1]), share, seed, number=1)
        row: dict[str, Any] = {"data": data, "network": network, "seed": seed, "share": share}
        row["whole"] = round(score(model, tests, accuracy), 4)
        for rate in RATES:
            child = partial(supernet.extract, even, example=example)
            end = tuned(child(), loader(), rate, EPOCHS, cosine)
            row[f"{rate:g}"] = {
                "steps": round(score(tuned(child(), few, rate, 1, None), chosen_by, loss), 4),
                "loss": round(score(end, tests, loss), 4),
                "accuracy": round(score(end, tests, accuracy), 4),
            }
        scratch = supernet.extract(even, example=example)
        torch.manual_seed(seed)
        for layer in scratch.modules():
            if hasattr(layer, "reset_parameters"):
                layer.reset_parameters()
        optimizer = partial(adamw, learning_rate=3e-3)
        train(scratch, loader(), loss=LOSS, epochs=TRAINING + EPOCHS, optimizer=optimizer)
        recalibrate(scratch, loader(), loss=LOSS)
        row["from scratch"] = round(score(scratch, tests, accuracy), 4)
        yield row


def summary(found: list[dict[str, Any]]) -> dict[str, Any]:
    """Return mean accuracies at each rate, at the one that a few steps choose, and at the best; print all."""
    table: dict[str, dict[str, float]] = {}
    for share in (0.25, 0.5):
        own = [row for row in found if row["share"] == share]
        if not own:
            continue
        line = {f"{rate:g}": fmean(row[f"{rate:g}"]["accuracy"] for row in own) for rate in RATES}
        by = {
            what: [min(RATES, key=lambda rate, row=row: row[f"{rate:g}"][what]) for row in own]
            for what in ("steps", "loss")
        }
        for what, rates in by.items():
            line[f"by {what}"] = fmean(
                row[f"{rate:g}"]["accuracy"] for row, rate in zip(own, rates, strict=True)
            )
        line |= {name: fmean(row[name] for row in own) for name in ("whole", "from scratch")}
        table[f"{share:g}"] = {name: round(value, 4) for name, value in line.items()}
        print(share, len(own), table[f"{share:g}"], by)
    return {"accuracy": table}


def main() -> None:
    """Measure what is missing."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=1)
    parser.add_argument("--summary", action="store_true", help="measure nothing, write the JSON")
    options = parser.parse_args()
    torch.set_num_threads(1)
    found = [json.loads(line) for line in LINES.read_text().splitlines()] if LINES.exists() else []
    if options.summary:
        write("rates", summary(found), found)
        return
    for seed in range(options.seeds):
        for data in ("digits", "vowels"):
            for network in ("residual", "mobile", "encoder"):
                same = {"data": data, "network": network, "seed": seed}.items()
                if sum(same <= row.items() for row in found) == 2:
                    continue
                for row in rows(data, network, seed):
                    found.append(row)
                    with LINES.open("a") as file:
                        file.write(json.dumps(row) + "\n")
                summary(found)


if __name__ == "__main__":
    main()
