"""Other tools that compress a trained network: Torch-Pruning, and FastNAS of NVIDIA's ModelOpt.

They are imported where they are used, since the other ways need neither. benchmarks/README.md says how to
install them.
"""

import contextlib
import copy
import io
import tempfile
import time
from collections.abc import Iterator, Sequence
from importlib import import_module
from itertools import chain, islice, repeat
from pathlib import Path
from typing import Any

from torch import nn

from asng.costs import multiply_adds
from asng.training import accuracy, score
from benchmarks.trained.cells import Cell
from benchmarks.trained.networks import LOSS
from benchmarks.trained.ways import Child, Way, fine_tuned

__all__ = ["RIVALS", "eighths"]

STEPS = 400
"""Steps of Torch-Pruning from the whole network to nothing, as in its own benchmarks."""
HEAD_STEPS = 20
"""Steps for networks with heads: in version 1.6.1, a step that removes no head fails."""
GRADIENTS = 8
"""Batches that the Taylor expansion sees, as many as the order of `asng.compress`."""

CALIBRATION = 50
"""Batches on which FastNAS calibrates batch norms, its default."""


# --- Torch-Pruning ---------------------------------------------------------------------------------------


def torch_pruning(kind: str) -> Way:
    """Return a pruner, global, step by step until the multiply-adds are within the budget.

    Args:
        kind: "magnitude", "group norm" or "taylor".
    """

    def way(cell: Cell, budgets: Sequence[float]) -> Iterator[Child]:
        for budget in budgets:
            begin = time.process_time()
            network = _pruned(cell, kind, budget * multiply_adds(cell.model, (cell.example,)))
            yield fine_tuned(cell, network, budget, time.process_time() - begin)

    return way


def _pruned(cell: Cell, kind: str, limit: float) -> nn.Module:
    tp: Any = import_module("torch_pruning")
    makers = {
        # The usual two: L1 of a layer's own filters, and L2 over all that is cut together.
        "magnitude": (
            tp.pruner.MagnitudePruner,
            tp.importance.MagnitudeImportance(p=1, group_reduction="first"),
        ),
        "group norm": (tp.pruner.GroupNormPruner, tp.importance.GroupMagnitudeImportance(p=2)),
        "taylor": (tp.pruner.MagnitudePruner, tp.importance.TaylorImportance()),
    }
    network = copy.deepcopy(cell.model).train(False).requires_grad_(True)
    if kind == "taylor":
        for batch in islice(cell.train, GRADIENTS):
            LOSS(network, batch).backward()
    heads = {
        layer: block.q.out_features // 6 if cell.network == "encoder" else block.q.out_features // 8
        for block in network.modules()
        if hasattr(block, "q")
        for layer in (block.q, block.k, block.v)
    }
    make, importance = makers[kind]
    steps = HEAD_STEPS if heads else STEPS
    pruner = make(
        network,
        cell.example,
        importance=importance,
        global_pruning=True,
        pruning_ratio=1.0,
        iterative_steps=steps,
        ignored_layers=[network.head],
        num_heads=heads,
        **({"prune_num_heads": True, "prune_head_dims": False, "head_pruning_ratio": 1.0} if heads else {}),
    )
    for _ in range(steps):
        pruner.step()
        if multiply_adds(network, (cell.example,)) <= limit:
            network.zero_grad()
            return network
    raise RuntimeError("no step of the pruner is within the budget")


# --- ModelOpt --------------------------------------------------------------------------------------------


def eighths() -> dict[str, Any]:
    """Return FastNAS's rules with its defaults, but widths in eighths, as those of asng.

    By default widths are multiples of 32, which is too coarse for these networks.
    """
    rules: dict[str, Any] = import_module("modelopt.torch.prune.fastnas").FastNASConfig().model_dump()
    for rule in [one for kinds in rules.values() if isinstance(kinds, dict) for one in kinds.values()]:
        for name in ("channels_ratio", "features_ratio"):
            if rule and name in rule:
                rule[name] = tuple(k / 8 for k in range(1, 9))
        for name in ("channel_divisor", "feature_divisor"):
            if rule and name in rule:
                rule[name] = 1
    return rules


def fastnas(cell: Cell, budgets: Sequence[float]) -> Iterator[Child]:
    """Yield what FastNAS finds with its defaults, except for the grid of widths, see `eighths`.

    The checkpoint of the first budget serves the second; the time is divided equally.
    """
    prune: Any = import_module("modelopt.torch.prune")
    rules = eighths()
    # With fewer batches than it asks for it does not calibrate batch norms, and its scores mean nothing.
    batches = list(islice(chain.from_iterable(repeat(cell.train)), CALIBRATION))
    found, begin = [], time.process_time()
    with tempfile.TemporaryDirectory() as folder, _silence():
        for budget in budgets:
            network, _ = prune.prune(
                copy.deepcopy(cell.model),
                mode=[("fastnas", rules)],
                constraints={"flops": f"{100 * budget:g}%"},
                dummy_input=cell.example,
                config={
                    "data_loader": batches,
                    "collect_func": lambda batch: batch[0],
                    "score_func": lambda network: score(network, cell.valid, accuracy),
                    "verbose": False,
                    "checkpoint": str(Path(folder) / "search.pth"),
                },
            )
            found.append(network)
    seconds = (time.process_time() - begin) / len(budgets)
    for budget, network in zip(budgets, found, strict=True):
        yield fine_tuned(cell, network, budget, seconds)


@contextlib.contextmanager
def _silence() -> Iterator[None]:
    with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
        yield


RIVALS: dict[str, Way] = {
    "Torch-Pruning magnitude": torch_pruning("magnitude"),
    "Torch-Pruning group norm": torch_pruning("group norm"),
    "Torch-Pruning Taylor": torch_pruning("taylor"),
    "ModelOpt FastNAS": fastnas,
}
