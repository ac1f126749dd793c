"""The sandwich rule: every step of the weights trains the largest network, the smallest, and a random one.

References:
    Yu, Huang, "Universally Slimmable Networks and Improved Training Techniques", ICCV 2019,
    Sections 3.2 and 3.4.
"""

from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import cross_entropy

import asng
from asng.space import Space
from asng.training import Forward
from benchmarks.truth.problems import Problem, all_architectures, key_of, sizes_of
from benchmarks.truth.run import LOSS

__all__ = ["Sandwiched", "Sandwiches"]


class Sandwiches(asng.ASNG):
    """ASNG that trains three networks: the largest within the budget, the smallest, and a random draw.

    The networks to be scored are drawn.
    """

    def __init__(self, space: Space, problem: Problem, *, seed: int) -> None:
        super().__init__(space, lam=2, seed=seed, reuse=False)
        sizes = sizes_of(problem)
        within = list(filter(problem.within, all_architectures(space)))
        self.largest = max(within, key=lambda network: sizes[key_of(network)])
        self.smallest = min(within, key=lambda network: sizes[key_of(network)])

    def _draw(self, u: np.ndarray) -> np.ndarray:
        x = super()._draw(u)
        if len(x) == 3:
            for row, network in zip(x, (self.largest, self.smallest), strict=False):
                row[:] = [_raw(self.space[name], value) for name, value in network.items()]
        return x


def _raw(variable: Any, value: Any) -> float:
    return variable.choices.index(value) if isinstance(variable, asng.Categorical) else variable.encode(value)


class Sandwiched:
    """The loss of the networks of a sandwich, which run one after another on a batch, the largest first.

    The others learn from the outputs of the largest instead of the labels.
    """

    def __init__(self, largest: asng.Architecture) -> None:
        self.largest, self._said = largest, torch.empty(0)

    def __call__(self, forward: Forward, batch: tuple[Tensor, Tensor]) -> Tensor:
        if not torch.is_grad_enabled():
            return LOSS(forward, batch)
        logits = forward(batch[0])
        if forward.architecture == self.largest:  # type: ignore[attr-defined]
            self._said = torch.softmax(logits.detach(), dim=1)
            return cross_entropy(logits, batch[1])
        return cross_entropy(logits, self._said)
