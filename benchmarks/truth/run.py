"""One search at a given cost, on one space under one seed: data halved, supernet made, steps counted.

The unit of cost is a forward pass of one network over one training batch; a training pass is 3 of them, and a
pass over a batch of another size counts by its size.
"""

import random
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

import torch
from torch import Tensor
from torch.nn.functional import cross_entropy
from torch.utils.data import DataLoader, TensorDataset

import asng
from asng.data import split_half
from asng.training import Forward, Loss, batch_statistics
from benchmarks.truth.spaces import Problem
from benchmarks.truth.tables import batches, supernet_of

__all__ = ["LOSS", "TRAINING_PASS", "Found", "Run"]

TRAINING_PASS = 3
LOSS = asng.supervised(cross_entropy)


@dataclass(frozen=True)
class Found:
    """What a search found, with the shared weights that it leaves, and what it cost."""

    architecture: asng.Architecture
    supernet: asng.nn.Supernet
    cost: float


class Run:
    """What all searches need.

    Args:
        problem: The space and its data.
        seed: Of the halves, the first weights, the batches and the search.
        budget: What the search may cost.
    """

    def __init__(self, problem: Problem, seed: int, budget: float) -> None:
        self.problem, self.seed, self.budget = problem, seed, budget
        inputs, labels, _, _ = problem.data()
        train, valid = (torch.as_tensor(part) for part in split_half(len(inputs), seed=seed))
        self.train = TensorDataset(inputs[train], labels[train])
        self.valid = TensorDataset(inputs[valid], labels[valid])
        torch.manual_seed(seed)
        self.supernet = supernet_of(problem)
        self.rng = random.Random(seed)

    def units(self, items: int) -> float:
        """Return what a forward pass over so many items costs."""
        return items / self.problem.batch

    def distinct(self, draws: int) -> list[asng.Architecture]:
        """Return the different ones of so many uniform draws."""
        return list(dict.fromkeys(self.supernet.space.sample(self.rng) for _ in range(draws)))

    def shuffled(self, steps: int, *, valid: bool = False, size: int | None = None) -> DataLoader:
        """Return a loader of `steps` batches of the training half, or of the validation half."""
        data = self.valid if valid else self.train
        return batches(data, min(size or self.problem.batch, len(data)), steps=steps)

    def fit(self, steps: int, **settings) -> asng.SearchResult:
        """Run `OneShotSearch` for so many steps."""
        search = asng.OneShotSearch(
            self.supernet, LOSS, optimizer=self.problem.optimizer, seed=self.seed, **settings
        )
        valid = self.shuffled(steps, valid=True)
        return search.fit(self.shuffled(steps), valid, epochs=1, progress=False)

    def fit_passes(self, steps: int, *, loss: Loss = LOSS, **settings) -> tuple[asng.SearchResult, float]:
        """Run `OneShotSearch` for the whole passes over the training half in so many steps; say its cost.

        As a user would: its final scores finalists on one pass over the validation half. Only one pass a call
        of the loss is counted.
        """
        cost = 0.0

        def counted(forward: Forward, batch: tuple[Tensor, Tensor]) -> Tensor:
            nonlocal cost
            cost += self.units(len(batch[1])) * (TRAINING_PASS if torch.is_grad_enabled() else 1)
            return loss(forward, batch)

        search = asng.OneShotSearch(
            self.supernet, counted, optimizer=self.problem.optimizer, seed=self.seed, **settings
        )
        train, valid = (batches(data, self.problem.batch) for data in (self.train, self.valid))
        result = search.fit(train, valid, epochs=steps // len(train), progress=False)
        return result, cost

    def best_alone(self, networks: Sequence[asng.Architecture], left: float) -> asng.Architecture:
        """Train networks alone from the first weights, as long as `left` allows, and return the best.

        As in the final of `OneShotSearch`: the same batches for all, the loss on the whole validation half,
        and rather fewer networks than 10 steps each.
        """
        each = self.units(len(self.valid)) + 10 * TRAINING_PASS
        networks = networks[: max(1, int(left / each))]
        losses = self.losses_alone(networks, self.steps_alone(left / len(networks)))
        return networks[losses.index(min(losses))]

    def steps_alone(self, left: float) -> int:
        """Return the training steps of one network for so much, beside a pass over the validation half."""
        return int((left - self.units(len(self.valid))) / TRAINING_PASS)

    def losses_alone(self, networks: Sequence[asng.Architecture], steps: int) -> list[float]:
        """Train networks alone from the first weights for so many steps; return their validation losses."""
        torch.manual_seed(self.seed)
        fresh = supernet_of(self.problem)  # the first weights of the search
        first = {name: value.clone() for name, value in fresh.state_dict().items()}
        losses = []
        for network in networks:
            fresh.load_state_dict(first)
            torch.manual_seed(self.seed)
            single = partial(fresh, architecture=network)
            weights = self.problem.optimizer(fresh.parameters())
            schedule = torch.optim.lr_scheduler.CosineAnnealingLR(weights, steps)
            fresh.train()
            with batch_statistics(fresh):
                for batch in self.shuffled(steps):
                    weights.zero_grad(set_to_none=True)
                    LOSS(single, batch).backward()
                    torch.nn.utils.clip_grad_norm_(fresh.parameters(), 5.0)
                    weights.step()
                    schedule.step()
            fresh.eval()
            with torch.no_grad(), batch_statistics(fresh):  # entered anew: eval() ends what it began
                held = batches(self.valid, self.problem.batch)
                losses.append(sum(float(LOSS(single, batch)) for batch in held))
        return losses

    def valid_items(self, most: int | None = None) -> tuple[Tensor, Tensor]:
        """Return the first `most` items of the validation half (they come in random order), or all."""
        inputs, labels = self.valid.tensors
        return inputs[:most], labels[:most]

    @torch.no_grad()
    def losses(self, networks: Sequence[asng.Architecture], items: tuple[Tensor, Tensor]) -> list[float]:
        """Score networks on the shared weights, batch norms using the very items: less is better."""
        self.supernet.eval()
        with batch_statistics(self.supernet):
            return [float(LOSS(partial(self.supernet, architecture=network), items)) for network in networks]
