"""Does everything run if the model is on a device that is not the CPU, as on a GPU?

python -m benchmarks.other_device

Batches come from the CPU, as those of a loader do. Each case runs on a device that computes on the CPU and
refuses to mix its tensors with others; see `benchmarks.other_device`.
"""

import argparse
import tempfile
import time
import warnings
from collections.abc import Callable
from functools import partial
from pathlib import Path

import torch
from torch import nn
from torch.nn.functional import cross_entropy
from torch.utils.data import DataLoader, TensorDataset

import asng
from asng.nn import Supernet
from asng.training import accuracy, score, train
from benchmarks.other_device import load
from benchmarks.record import write
from benchmarks.step.spaces import SPACES
from benchmarks.trained.cells import MAKERS

LOSS = asng.supervised(cross_entropy)


def images(items: int) -> TensorDataset:
    """Return random images of two classes, of which one is brighter."""
    x, y = torch.randn(items, 1, 14, 14), torch.arange(items) % 2
    return TensorDataset(x + y[:, None, None, None], y)


def on(device: torch.device, *models: nn.Module) -> None:
    """Raise if a weight or a buffer is elsewhere."""
    for model in models:
        for name, tensor in (*model.named_parameters(), *model.named_buffers()):
            if tensor.device != device:
                raise RuntimeError(f"{name}: expected it on {device}, got {tensor.device}")


def one_shot(device: torch.device, name: str) -> None:
    """Take some steps of a search over a ready supernet, and extract a child that computes the same."""
    setting = SPACES[name]
    supernet = setting.supernet().to(device)
    *inputs, target = setting.items(16)
    loader = DataLoader(TensorDataset(*inputs, target), batch_size=4)
    result = setting.search(supernet).fit(loader, epochs=2)
    on(device, supernet, result.child)
    given = [part[:4].to(device) for part in inputs]
    supernet.eval()
    child = supernet.extract(result.architecture, example=(*inputs,))
    if not torch.equal(supernet(*given, architecture=result.architecture), child(*given)):
        raise RuntimeError("expected a child that computes the same")


def searched(device: torch.device) -> None:
    """Search with a final, budgets and a run folder, resume, train alone, and read the child elsewhere."""
    layers, width = asng.nn, asng.Integer(2, 8, label="width")
    norm = layers.Choice({"batch": layers.BatchNorm2d(width), "none": nn.Identity()}, label="norm")

    def search() -> asng.OneShotSearch:
        torch.manual_seed(0)
        model = nn.Sequential(
            layers.Conv2d(1, width, 3),
            norm,
            nn.ReLU(),
            nn.AdaptiveAvgPool2d(2),
            nn.Flatten(),
            layers.Linear(32, 2),
        )
        return asng.OneShotSearch(
            Supernet(model).to(device),
            loss=LOSS,
            maximize=accuracy,
            cost=[
                asng.Budget("parameters", share=0.8),
                asng.Budget("activation_memory", share=0.9),
                asng.Budget("latency", limit=1.0),
            ],
        )

    with tempfile.TemporaryDirectory() as place:
        folder = Path(place) / "run"
        loader = DataLoader(images(64), batch_size=16, shuffle=True)
        result = search().fit(loader, epochs=80, run_dir=folder)
        again = search().fit(loader, epochs=80, run_dir=folder, resume=True)
        if again.architecture != result.architecture:
            raise RuntimeError("expected the same architecture from the folder")
        on(device, result.child)
        score(result.child, loader, accuracy)
        result.retrain(loader, DataLoader(images(32), batch_size=16), peers=1)


def compressed(device: torch.device, name: str, *, frozen: bool) -> None:
    """Train a network, and halve it."""
    model = MAKERS[name](1, 10).to(device)
    loader = DataLoader(images(128), batch_size=32, shuffle=True, drop_last=True)
    train(model, loader, loss=LOSS, epochs=1)
    made = asng.compress(
        model,
        loader,
        DataLoader(images(64), batch_size=32),
        loss=LOSS,
        maximize=accuracy,
        budget=0.5,
        epochs=1,
        train_weights=not frozen,
        onnx=False,
    )
    on(device, model, *(child.network for child in made.children))


CASES: dict[str, Callable[[torch.device], None]] = {
    "search, final, budgets, resume, retraining": searched,
    **{f"search over the {name}": partial(one_shot, name=name) for name in SPACES},
    **{
        f"compress, {network}{', frozen' if frozen else ''}": partial(compressed, name=network, frozen=frozen)
        for network in MAKERS
        for frozen in (False, True)
    },
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--only", default="", help="a part of the names of cases")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    warnings.simplefilter("ignore")
    device, rows = load(), []
    for name, case in CASES.items():
        if arguments.only not in name:
            continue
        begin, failed = time.process_time(), None
        torch.manual_seed(0)
        try:
            case(device)
        except Exception as error:  # whatever is raised is the result
            failed = f"{type(error).__name__}: {error}"[:300]
        rows.append({"case": name, "failed": failed, "cpu_seconds": round(time.process_time() - begin, 1)})
        print(rows[-1], flush=True)
    if not arguments.only:
        failures = sum(row["failed"] is not None for row in rows)
        print(write("other_device", {"cases": len(rows), "failures": failures}, rows))


if __name__ == "__main__":
    main()
