"""A trial of a search before its first step, so that mistakes show after seconds rather than hours."""

import random
import time
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from typing import Any

import torch
from torch import nn

from asng.costs.extremes import ends_of
from asng.errors import AsngError, InputError, located
from asng.nn import Inputs, Supernet
from asng.search.scorer import Scorer
from asng.search.trainer import Trainer
from asng.space import Architecture
from asng.training.batch_norm import batch_statistics
from asng.training.compare import TOLERANCE, difference
from asng.training.data.nested import own_copy, to_device
from asng.training.data.random_state import undisturbed
from asng.training.faults import OutOfMemory, is_out_of_memory
from asng.training.inputs import Recorder, repeated
from asng.training.metric import is_whole
from asng.training.modes import Modes, Snapshot, left_alone
from asng.training.objective import check_gradient

__all__ = ["try_first"]

SECONDS = 0.5
"""If the largest and the smallest architecture took longer than this, no others are tried."""

FEW, QUICK = 4, 0.1
"""If the largest architecture took over QUICK seconds on FEW items, children are compared on these alone.

One architecture still runs whole batches. A failure on few items counts only if whole batches fail too.
"""


def try_first(trainer: Trainer, scorer: Scorer) -> None:
    """Run loss, objective and costs, and check that children reproduce the supernet's outputs in these calls.

    Weights, buffers, modes, attributes, gradients and generators are restored afterwards. What does not fit
    into memory is skipped, as in a search.

    Args:
        trainer: Has the loss and the training data.
        scorer: Has the objective and the validation data.

    Raises:
        InputError: A child cannot be extracted, does not run, or gives another output than the supernet.
    """
    supernet, streams = trainer.supernet, (trainer.stream, scorer.stream)
    whole = to_device([stream.first() for stream in streams], trainer.device)
    few = to_device([stream.few(FEW) for stream in streams], trainer.device)
    with (
        located(lambda: "While the search made a trial pass before step 1 (check=True)."),
        undisturbed(),
        batch_statistics(supernet) as norms,
        left_alone(supernet) as before,
        _kept_gradients(supernet),
    ):
        trial = partial(_Trial, trainer, scorer, modes=Modes(supernet, norms), before=before)
        trial("the smallest", ends_of(supernet)[1]).take_single_items()
        began, by_few = time.perf_counter(), all(batch is not None for batch in few)
        for number, (name, architecture) in enumerate(_architectures(supernet)):
            if number > 1 and time.perf_counter() - began > SECONDS:
                break
            with OutOfMemory().noted():
                one = trial(name, architecture)
                by_few = by_few and one.runs(few, descend=number == 1)
                by_few = by_few and (number > 0 or time.perf_counter() - began > QUICK)
                if not by_few:
                    one.run(whole, descend=number < 2)
        smallest = ends_of(supernet)[1]
        with OutOfMemory().noted():
            if by_few:
                trial("the smallest", smallest).passes(whole)
        with OutOfMemory().noted():
            scorer.meter.attempt(smallest)


def _architectures(supernet: Supernet) -> Iterator[tuple[str, Architecture]]:
    """Yield the largest, the smallest and two random architectures, each once."""
    largest, smallest = ends_of(supernet)
    draws = random.Random(0)
    found = {"the largest": largest, "the smallest": smallest}
    found |= {f"random {n}": supernet.space.sample(draws) for n in (1, 2)}
    seen: set[Architecture] = set()
    for name, architecture in found.items():
        if architecture not in seen:
            seen.add(architecture)
            yield name, architecture


@contextmanager
def _kept_gradients(supernet: Supernet) -> Iterator[None]:
    gradients = [(parameter, parameter.grad) for parameter in supernet.parameters()]
    for parameter, _ in gradients:
        parameter.grad = None
    try:
        yield
    finally:
        for parameter, gradient in gradients:
            parameter.grad = gradient


class _Seeded(Recorder):
    """A recorder that also keeps the state of torch's CPU generator before each call."""

    def __init__(self, supernet: Supernet, architecture: Architecture, *, training: bool) -> None:
        super().__init__(supernet, architecture, training=training)
        self.states: list[torch.Tensor] = []

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        self.states.append(torch.get_rng_state())
        return super().__call__(*args, **kwargs)


class _Trial:
    """The trial of one architecture."""

    def __init__(
        self,
        trainer: Trainer,
        scorer: Scorer,
        name: str,
        architecture: Architecture,
        *,
        modes: Modes,
        before: Snapshot,
    ) -> None:
        self.name, self.architecture = name, architecture
        self.trainer, self.scorer, self.supernet = trainer, scorer, trainer.supernet
        self.modes, self.before = modes, before

    def runs(self, batches: Sequence[Any], *, descend: bool) -> bool:
        """Do as `run` does with `sparing`, and return whether it succeeded; raise if memory ran out."""
        try:
            self.run(batches, descend=descend, sparing=True)
        except Exception as error:  # for one, the user's loss may need more items
            if is_out_of_memory(error):
                raise
            return False
        return True

    def run(self, batches: Sequence[Any], *, descend: bool, sparing: bool = False) -> None:
        """Run loss and objective, then the child.

        Args:
            batches: One batch of training data and one of validation data.
            descend: Whether to compute gradients.
            sparing: Whether to extract the child from the calls in the loss alone.
        """
        records = self.passes(batches, descend=descend)
        shown = records[:1] if sparing else records
        try:
            child = self._extracted([call for record in shown for call in record.calls])
            with batch_statistics(child) as norms, torch.no_grad():
                child_modes = Modes(child, norms)
                for record in records:
                    self._compare(child, child_modes, record)
        finally:
            self.before.restore(for_now=True)

    def passes(self, batches: Sequence[Any], *, descend: bool = False) -> list["_Seeded"]:
        """Run loss and objective, and return their calls of the network, for comparison with a child."""
        try:
            records = [self._lost(batches[0], descend=descend), self._scored(batches[1])]
        finally:
            self.before.restore(for_now=True)
        self._check_reached(records[0])
        return records[:1] if self.scorer.as_training else records

    def take_single_items(self) -> None:
        """Run loss and objective on one item if a pass over their loader has a batch of one.

        Raises:
            InputError: A batch norm cannot take it.
        """
        for stream, run in ((self.trainer.stream, self._lost), (self.scorer.stream, self._scored)):
            if (batch := stream.of_one()) is None:
                continue
            try:
                run(to_device(batch, self.trainer.device))
            except Exception as error:  # all others show on whole batches, or are those of an odd item
                if "more than 1 value per channel" in str(error):
                    raise InputError(
                        f"{stream.name}: expected batches of two items or more, because the batch norms of "
                        "the network cannot take one, got a pass with a batch of one. Give the loader "
                        "drop_last=True, or another batch size."
                    ) from error
            finally:
                self.before.restore(for_now=True)

    def _check_reached(self, record: _Seeded) -> None:
        if record.read is None:
            raise InputError(
                "loss: expected it to run the network, got one that does not. Call the forward that it is "
                "given, not a model of your own."
            )

    def _lost(self, batch: Any, *, descend: bool = False) -> _Seeded:
        forward = _Seeded(self.supernet, self.architecture, training=True)
        self.modes.set(training=True)
        with torch.enable_grad():
            value = self.trainer.value(batch, forward)
            check_gradient(value, forward.outputs, self.trainer.loss)
            if descend and value.requires_grad:
                value.backward()  # type: ignore[no-untyped-call]
        for parameter in self.supernet.parameters():
            parameter.grad = None
        return forward

    def _scored(self, batch: Any) -> _Seeded:
        forward = _Seeded(self.supernet, self.architecture, training=False)
        self.scorer.evaluate(self.modes)
        objective = self.scorer.objective
        with torch.no_grad():
            if is_whole(objective):
                tally = objective.tally(self.trainer.device)
                tally.update(forward, own_copy(batch))
                tally.attempt(self.scorer.name)
            else:
                self.scorer.value(batch, forward)
        return forward

    def _extracted(self, calls: list[Inputs]) -> nn.Module:
        try:
            with undisturbed(), warnings.catch_warnings():
                # The search warns at its end about modules that no call has reached.
                warnings.filterwarnings("ignore", message="extract: no call of the example")
                return self.supernet.extract(self.architecture, example=calls or None)
        except AsngError as error:
            raise type(error)(f"{self._words}: {error}") from error
        except Exception as error:
            if is_out_of_memory(error):
                raise
            raise InputError(
                f"{self._words}: expected a child that can be extracted, got {type(error).__name__}: "
                f"{error}. {_WAY_OUT}"
            ) from error

    def _compare(self, child: nn.Module, modes: Modes, record: _Seeded) -> None:
        """Raise if the child's output differs from the supernet's."""
        for number, (call, output, state) in enumerate(
            zip(record.calls, record.outputs, record.states, strict=True)
        ):
            modes.set(training=bool(record.training))
            mode = "training" if record.training else "evaluation"
            where = f"{self._words}, call {number + 1} in {mode} mode"
            torch.set_rng_state(state)
            try:
                got = repeated(call).call(child)
            except Exception as error:
                if is_out_of_memory(error):
                    raise
                raise InputError(
                    f"{where}: expected the child to run as the supernet does, got {type(error).__name__}: "
                    f"{error}. {_WAY_OUT}"
                ) from error
            words = difference(got, output, tolerance=TOLERANCE)
            if words is not None and self._is_sure(call, output, state, training=bool(record.training)):
                raise InputError(
                    f"{where}: expected the child to compute what the supernet does, got another output: "
                    f"{words}. {_WAY_OUT}"
                )

    def _is_sure(self, call: Inputs, output: Any, state: torch.Tensor, *, training: bool) -> bool:
        """Return whether the supernet repeats its output, from the same generator state and from another.

        If not, its output is random, and a difference of the child proves nothing.
        """
        states = [state, torch.Generator().manual_seed(1).get_state()]
        for one in states:
            self.before.restore(for_now=True)
            self.modes.set(training=training)
            torch.set_rng_state(one)
            again = repeated(call).call(Recorder(self.supernet, self.architecture))
            if difference(again, output, tolerance=TOLERANCE) is not None:
                return False
        return True

    @property
    def _words(self) -> str:
        return f"{self.name} architecture {dict(self.architecture)}, tried before the first step"


_WAY_OUT = (
    "The search would return a wrong network. Look at modules whose forward pass depends on more than their "
    "inputs and the architecture; pass check=False to search anyway."
)
