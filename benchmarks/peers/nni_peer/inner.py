"""NNI's one-shot training, one step on each request. Run by the peer's own Python; see `NniStep`.

PEER/bin/python -m benchmarks.peers.nni_peer.inner random --channels 16 --cells 8 --batch 64 --threads 2

The space is the ENAS space of NNI's hub. Supernet, Lightning module and Trainer are those that NNI's strategy
makes, with the defaults of NNI's `Classification`: Adam with a learning rate of 0.001, no gradient clipping.
`random` is RandomOneShot, which trains one architecture a step and scores none. `darts` is first-order DARTS,
which takes a step of its architecture parameters on one batch and a step of the weights on another. Batches
are random images, made beforehand.

Standard input has the lines "step" and "peak"; its end ends the training. Standard output has lines of JSON:
one with versions when all is ready, then an answer to each line. The script imports nothing of asng, since
NNI needs other versions of shared dependencies.
"""

import argparse
import json
import logging
import os
import platform
import random
import sys
import time
import warnings
from collections.abc import Iterator
from contextlib import suppress
from importlib.metadata import version
from pathlib import Path
from typing import Any, TextIO

PACKAGES = ("nni", "pytorch-lightning", "torch", "numpy")


class Enough(Exception):
    """No further step is requested."""


class Turns:
    """Holds a training before each step until one is requested, and answers how long it took.

    Args:
        asked: Gives the lines "step" and "peak".
        answers: Takes a line of JSON for each.
    """

    def __init__(self, asked: TextIO, answers: TextIO) -> None:
        self.asked, self.answers = asked, answers
        self.start = 0.0

    def begin(self) -> None:
        """Wait at the beginning of a step; raise `Enough` when the requests end."""
        while line := self.asked.readline():
            if line.strip() == "step":
                self.start = time.perf_counter()
                return
            self.tell(gb=peak_gb())
        raise Enough

    def end(self) -> None:
        """Answer, at the end of a step."""
        self.tell(seconds=time.perf_counter() - self.start)

    def tell(self, **answer: Any) -> None:
        """Write a line."""
        self.answers.write(json.dumps(answer) + "\n")
        self.answers.flush()


def peak_gb() -> float:
    """Return the most memory that this process held, in GB (1e9 bytes)."""
    # Not getrusage's ru_maxrss, which a process inherits from its parent.
    status = Path("/proc/self/status").read_text(encoding="ascii")
    return int(status.partition("VmHWM:")[2].split()[0]) * 1024 / 1e9


class Noise:
    """An endless loader of the same batch of random images; NNI takes any loader that Lightning takes."""

    def __init__(self, batch: int) -> None:
        import torch

        self.batch = torch.randn(batch, 3, 32, 32), torch.randint(10, (batch,))

    def __iter__(self) -> Iterator[Any]:
        while True:
            yield self.batch


def train(strategy: str, turns: Turns, *, channels: int, cells: int, batch: int) -> None:
    """Train the supernet as NNI's strategy does, until `turns` raises `Enough`."""
    from nni.nas.evaluator.pytorch import Classification
    from nni.nas.hub.pytorch import ENAS
    from nni.nas.strategy import DARTS, RandomOneShot
    from pytorch_lightning.callbacks import LambdaCallback

    logging.getLogger("pytorch_lightning").setLevel(logging.ERROR)  # it lists missing accelerators
    space = ENAS(width=channels, num_cells=cells, dataset="cifar")
    clock = LambdaCallback(
        on_train_start=lambda *_: turns.tell(versions=versions(), parameters=sum_of_weights(space)),
        on_train_batch_start=lambda *_: turns.begin(),
        on_train_batch_end=lambda *_: turns.end(),
    )
    evaluator = Classification(
        train_dataloaders=Noise(batch),
        val_dataloaders=Noise(batch),
        num_classes=10,
        callbacks=[clock],
        accelerator="cpu",
        max_epochs=1,
        # Parts that a search does not need, whose time is not NNI's.
        limit_val_batches=0,
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
    )
    search = {"random": RandomOneShot, "darts": DARTS}[strategy]()
    search.mutate_model(space)
    search.mutate_evaluator(evaluator).evaluate(space)


def sum_of_weights(model: Any) -> int:
    """Return the number of trained parameters."""
    return sum(parameter.numel() for parameter in model.parameters())


def versions() -> dict[str, str]:
    """Return the versions of the measured packages."""
    return {"python": platform.python_version(), **{name: version(name) for name in PACKAGES}}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("strategy", choices=["random", "darts"])
    parser.add_argument("--channels", type=int, default=16)
    parser.add_argument("--cells", type=int, default=8)
    parser.add_argument("--batch", type=int, default=64)
    parser.add_argument("--threads", type=int, required=True)
    arguments = parser.parse_args()
    # Output of NNI and Lightning is redirected, so that standard output has only the answers.
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    warnings.simplefilter("ignore")

    import torch

    torch.set_num_threads(arguments.threads)
    torch.manual_seed(0)
    random.seed(0)
    sizes = {"channels": arguments.channels, "cells": arguments.cells, "batch": arguments.batch}
    with suppress(Enough):
        train(arguments.strategy, Turns(sys.stdin, answers), **sizes)


if __name__ == "__main__":
    main()
