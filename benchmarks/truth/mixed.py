"""Supernets whose choices are weighted sums, for the gradient-based searches DARTS and GDAS."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn

import asng

__all__ = ["Alphas", "mixed"]


class Alphas(nn.Module):
    """The logits of all choices, and how they weigh the candidates in the current pass.

    Args:
        space: Choices only.
        hard: One candidate is drawn by the Gumbel trick, runs alone, and passes its gradient on (GDAS).
            Otherwise all run, weighted by the softmax (DARTS).
    """

    def __init__(self, space: asng.Space, *, hard: bool) -> None:
        super().__init__()
        self.space, self.hard, self.tau = space, hard, 1.0
        self.logits = nn.ParameterList(1e-3 * torch.randn(len(v.choices)) for v in space.values())
        self.weights: dict[str, Tensor] = {}

    def draw(self) -> None:
        """Set the weights of the next pass."""
        for name, logits in zip(self.space, self.logits, strict=True):
            if self.hard:
                gumbel = -torch.empty_like(logits).exponential_().log()
                self.weights[name] = torch.softmax((torch.log_softmax(logits, 0) + gumbel) / self.tau, 0)
            else:
                self.weights[name] = torch.softmax(logits, 0)

    def logs(self) -> dict[str, list[float]]:
        """Return the logarithm of the probability of each candidate, by variable."""
        pairs = zip(self.space, self.logits, strict=True)
        return {name: torch.log_softmax(logits, 0).tolist() for name, logits in pairs}


class Mixed(nn.Module):
    """A `Choice` whose output is the weighted sum of its candidates' outputs."""

    def __init__(self, choice: asng.nn.Choice, alphas: Alphas) -> None:
        super().__init__()
        self.name, self.candidates = choice.names["choice"], choice.candidates
        self._alphas = [alphas]  # in a list, so that the logits are not parameters of the network

    def forward(self, x: Tensor) -> Tensor:
        alphas = self._alphas[0]
        weights = alphas.weights[self.name]
        candidates = list(self.candidates.values())
        if not alphas.hard:
            return sum(w * candidate(x) for w, candidate in zip(weights, candidates, strict=True))
        chosen = int(weights.argmax())
        return candidates[chosen](x) * (1.0 - weights[chosen].detach() + weights[chosen])


@contextmanager
def mixed(model: nn.Module, alphas: Alphas) -> Iterator[None]:
    """Replace every `Choice` of a model temporarily; the candidates stay the same modules and weights."""
    places = [
        (parent, name, child)
        for parent in list(model.modules())
        for name, child in parent.named_children()
        if isinstance(child, asng.nn.Choice)
    ]
    for parent, name, choice in places:
        setattr(parent, name, Mixed(choice, alphas))
    try:
        yield
    finally:
        for parent, name, choice in places:
            setattr(parent, name, choice)
