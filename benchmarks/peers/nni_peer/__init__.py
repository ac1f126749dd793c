"""NNI 3.0 as a peer of benchmarks: its steps are taken in a process of another Python, which has NNI.

    python3.11 -m venv PEER
    PEER/bin/pip install -r benchmarks/peers/nni_peer/requirements.txt

NNI needs an environment of its own: it requires `pkg_resources`, which setuptools 81 removed, and a
pytorch-lightning before 2.1. Nothing of it is imported here.
"""

import json
import subprocess
from contextlib import suppress
from pathlib import Path
from typing import IO, Any

__all__ = ["NniStep"]

INNER = Path(__file__).with_name("inner.py")
REQUIREMENTS = Path(__file__).with_name("requirements.txt")


class NniStep:
    """A one-shot training of NNI's, which takes a step on request and uses no core in between.

    So our steps and NNI's can be taken in turns and compared in pairs. The space is the ENAS space of NNI's
    hub, with random images of 32 x 32; `inner.py` says what a step is. The first step includes one-time setup
    and should be left out.

    Args:
        python: The interpreter of the environment with NNI.
        strategy: `"random"` is RandomOneShot: a step trains one architecture. `"darts"` is DARTS: a step
            computes all operators, twice. At the default sizes it holds over 10 GB.
        threads: Number of threads of torch, at least 1.
        channels: Channels of the first cell, even.
        cells: Cells in the whole network, at least 3.
        batch: Images in a batch.
        script: The script that runs in the other Python, for tests.

    Raises:
        RuntimeError: The other process ended; `step` and `peak_gb` may raise this too. Its message is on
            standard error.

    Example:
        from contextlib import closing

        with closing(NniStep("PEER/bin/python", "random", threads=2)) as nni:
            nni.step()
            print(nni.step(), "s,", nni.peak_gb(), "GB")
    """

    def __init__(
        self,
        python: str | Path,
        strategy: str,
        *,
        threads: int,
        channels: int = 16,
        cells: int = 8,
        batch: int = 64,
        script: Path = INNER,
    ) -> None:
        sizes = {"--threads": threads, "--channels": channels, "--cells": cells, "--batch": batch}
        options = [word for name, size in sizes.items() for word in (name, str(size))]
        # Isolated (-I), so that this environment's PYTHONPATH does not lead into the other.
        words = [str(python), "-I", str(script), strategy, *options]
        self._python = python
        self._process = subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self._asked: IO[str] = self._process.stdin  # type: ignore[assignment]
        self._answers: IO[str] = self._process.stdout  # type: ignore[assignment]
        ready = self._answer()
        self.versions: dict[str, str] = ready["versions"]
        """Versions of Python, NNI, Lightning, torch and NumPy in the other process."""
        self.parameters: int = ready["parameters"]
        """Weights of the supernet."""

    def step(self) -> float:
        """Take a step, and return its seconds, from when a batch is at hand until the weights have moved."""
        return float(self._ask("step")["seconds"])

    def peak_gb(self) -> float:
        """Return the most memory that the process has held so far, in GB (1e9 bytes)."""
        return float(self._ask("peak")["gb"])

    def close(self) -> None:
        """End the process, and wait for it."""
        if self._end() != 0:
            raise RuntimeError(self._ended())

    def _ask(self, word: str) -> dict[str, Any]:
        try:
            self._asked.write(word + "\n")
            self._asked.flush()
        except BrokenPipeError:
            raise RuntimeError(self._ended()) from None
        return self._answer()

    def _answer(self) -> dict[str, Any]:
        if not (line := self._answers.readline()):
            raise RuntimeError(self._ended())
        return dict(json.loads(line))

    def _end(self) -> int:
        with suppress(BrokenPipeError):  # a request that an ended process did not read
            self._asked.close()
        code = self._process.wait()
        self._answers.close()
        return code

    def _ended(self) -> str:
        return (
            f"{self._python}: expected NNI's steps, but the process ended with exit code {self._end()}; "
            f"what it said is on standard error; pip install -r {REQUIREMENTS} makes its environment"
        )
