"""Passes of a model for proofs: what it gives, and copies of it in which nothing hides a difference."""

import random
import warnings
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor, nn

from asng.errors import in_one_line
from asng.nn.conversion.known import Known
from asng.nn.conversion.reach import has_own_code, run_as_told, watched
from asng.nn.extraction.copying import deep_copy
from asng.nn.extraction.recording import left_alone, seed_torch, tensors_within
from asng.nn.inputs import Inputs
from asng.nn.rules import settle_fused_paths

__all__ = [
    "BARE",
    "Refused",
    "Whole",
    "check_clean",
    "outputs_of",
    "run_call",
    "shaken",
    "trained_by",
    "whole_of",
]

BARE = "the model uses its weight without calling it"

_SHAKES = (0.3, 0.03, 0.003, 1e-6)
"""Noise on the weights, as shares of their spread: the first with which the same layers run as without."""


class Refused(Exception):
    """Channels cannot be cut; the message says why."""


class Whole(NamedTuple):
    """What the whole network computes.

    Attributes:
        outputs: The output tensors of each call.
        reached: Paths of the layers that ran.
        known: What their functions gave.
    """

    outputs: list[list[Tensor]]
    reached: set[str]
    known: Known


def whole_of(model: nn.Module, calls: Sequence[Inputs]) -> Whole:
    """Return what the whole network computes.

    Raises:
        Refused: The model does not run.
    """
    known = Known(model)
    with watched(model) as reached, known.during(keep=True):
        return Whole(outputs_of(model, calls), reached, known)


def outputs_of(model: nn.Module, calls: Sequence[Inputs]) -> list[list[Tensor]]:
    """Return the output tensors of each call of a model, in evaluation mode.

    Raises:
        Refused: The model does not run.
    """
    with left_alone(model), torch.no_grad():
        model.eval()
        return [run_call(model, call) for call in calls]


def run_call(model: nn.Module, call: Inputs) -> list[Tensor]:
    """Return the output tensors of a call.

    Raises:
        Refused: The model does not run.
    """
    seed_torch(0)  # left_alone restores the generators
    random.seed(0)
    np.random.seed(0)  # noqa: NPY002 - a model may draw from either
    try:
        return [tensor.clone() for tensor in tensors_within(run_as_told(model, call))]
    except Refused:
        raise
    except Exception as error:  # whatever a model raises for sizes that it does not expect
        raise Refused(f"the network does not run so: {in_one_line(error)}") from error


def trained_by(model: nn.Module, calls: Sequence[Inputs]) -> list[Inputs]:
    """Return calls, marked as of training mode, that a model runs with its own code in training mode.

    There are none if it has no code of its own, but layers of torch in rows alone.
    """
    found = []
    for call in calls if has_own_code(model) else ():
        marked = Inputs(call, call.named, training=True)
        try:
            outputs_of(model, [marked])
        except Refused:
            continue
        found.append(marked)
    return found


def shaken(model: nn.Module, calls: Sequence[Inputs]) -> tuple[nn.Module, list[Inputs]]:
    """Return a copy of a model for proofs, and its calls: in double precision, with noise on the weights.

    The effect of a wrong cut may be tiny in a fresh network with small weights, and zero behind a weight of
    zero. Which channels a model reads does not depend on the values of its weights. A model that does not run
    in double precision, or makes NaN there, is copied in its own precision. torch's encoder layers call their
    parts, as in a supernet.
    """
    for share in _SHAKES:
        copied, twice = _settled(model, calls)
        before = whole_of(copied, twice).reached
        _shake(copied, share)
        if whole_of(copied, twice).reached == before:
            break
    return copied, twice


def _settled(model: nn.Module, calls: Sequence[Inputs]) -> tuple[nn.Module, list[Inputs]]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of scripts, about their own weights
        copied = deep_copy(model).double()
    twice = [Inputs(_doubled(tuple(c)), _doubled(dict(c.named)), training=c.training) for c in calls]
    try:
        check_clean(outputs_of(copied, twice), outputs_of(model, calls))
    except Refused:
        copied, twice = deep_copy(model), list(calls)
    settle_fused_paths(copied, everywhere=True)
    return copied, twice


def _shake(model: nn.Module, share: float) -> None:
    noise = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for p in model.parameters():
            if p.is_floating_point():
                size = share * (float(p.std()) if p.numel() > 1 else 0.0) or 0.05 * (share / _SHAKES[0])
                p.add_(size * torch.randn(p.shape, generator=noise).to(p))


def _doubled(value: Any) -> Any:
    if isinstance(value, Tensor):
        return value.double() if value.is_floating_point() else value
    if isinstance(value, Mapping):
        return {key: _doubled(part) for key, part in value.items()}
    return type(value)(map(_doubled, value)) if type(value) in (list, tuple) else value


def check_clean(silenced: list[list[Tensor]], whole: list[list[Tensor]]) -> None:
    """Raise if outputs are NaN where those of the whole network are not.

    Raises:
        Refused: They are, or their shapes differ.
    """
    for ours, theirs in zip(silenced, whole, strict=True):
        # A score of NaN, for example, is below each threshold.
        alike = [t.shape for t in ours] == [t.shape for t in theirs]
        for one, other in zip(ours, theirs, strict=False):
            if not alike or (one.is_floating_point() and bool((one.isnan() & ~other.isnan()).any())):
                raise Refused("something that is not a layer mixes its channels")
