"""One search at a given cost, on one space under one seed: data halved, supernet made, steps counted.

The unit of cost is a forward pass of one network over one training batch; a training pass is 3 of them, and a
pass over a batch of another size counts by its size.
"""

import random
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from itertools import islice

import torch
from torch import Tensor
from torch.nn.functional import cross_entropy
from torch.utils.data import DataLoader, TensorDataset

import asng
from asng.data import split_half
from asng.training import Forward, Loss, batch_statistics
from benchmarks.truth.problems import TRAINING_PASS, Problem, supernet_of
from benchmarks.truth.tables import batches

__all__ = ["LOSS", "Found", "Run"]

LOSS = asng.supervised(cross_entropy)


@dataclass(frozen=True)
class Found:
    """The network that a search found, the shared weights that it leaves, and its cost."""

    architecture: asng.Architecture
    supernet: asng.nn.Supernet
    cost: float


class Run:
    """The state that all searches need.

    Args:
        problem: The space and its data.
        seed: Seed of the halves, the initial weights, the batches and the search.
        budget: Most that the search may cost.

    Attributes:
        spent: Cost up to now.
    """

    def __init__(self, problem: Problem, seed: int, budget: float) -> None:
        self.problem, self.seed, self.budget, self.spent = problem, seed, budget, 0.0
        inputs, labels, _, _ = problem.data()
        train, valid = split_half(len(inputs), seed=seed)  # in order, and data may be sorted by class
        valid = valid[torch.randperm(len(valid), generator=torch.Generator().manual_seed(seed))]
        self.train = TensorDataset(inputs[train], labels[train])
        self.valid = TensorDataset(inputs[valid], labels[valid])
        torch.manual_seed(seed)
        self.supernet = supernet_of(problem)
        self.rng = random.Random(seed)

    def units(self, items: int) -> float:
        """Return the cost of a forward pass over a number of items."""
        return items / self.problem.batch

    @property
    def trainings(self) -> float:
        """The budget of the search, in trainings of one network."""
        return self.budget / self.problem.budget(1)

    def counted(self, forward: Forward, batch: tuple[Tensor, Tensor], *, loss: Loss = LOSS) -> Tensor:
        """Return the loss, and count its pass as spent: one pass for each call, or none if it is known."""
        self.spent += (
            (not getattr(forward, "known", False))
            * self.units(len(batch[1]))
            * (TRAINING_PASS if torch.is_grad_enabled() else 1)
        )
        return loss(forward, batch)

    def distinct(self, draws: int) -> list[asng.Architecture]:
        """Return the distinct networks of a number of uniform draws within the budget."""
        drawn = iter(lambda: self.supernet.space.sample(self.rng), None)
        return list(dict.fromkeys(islice(filter(self.problem.within, drawn), draws)))

    def shuffled(self, steps: int, *, valid: bool = False) -> DataLoader:
        """Return a loader of `steps` batches of the training half, or of the validation half."""
        data = self.valid if valid else self.train
        return batches(data, min(self.problem.batch, len(data)), steps=steps)

    def fit(
        self, steps: int, *, loss: Loss = LOSS, valid: DataLoader | None = None, **settings
    ) -> asng.SearchResult:
        """Run `OneShotSearch` at the cost of `steps` steps without a final, within the budget of networks.

        The validation loader makes ordinary passes: a final scores each finalist on one of them.
        """
        search = asng.OneShotSearch(
            self.supernet,
            partial(self.counted, loss=loss),
            optimizer=self.problem.optimizer,
            seed=self.seed,
            **{"cost": self.problem.cost, "example": self.train.tensors[0][:1], **settings},
        )
        if valid is None:
            valid = batches(self.valid, min(self.problem.batch, len(self.valid)))
        return search.fit(self.shuffled(steps), valid, epochs=1, progress=False, check=False)

    def best_alone(self, networks: Sequence[asng.Architecture], left: float) -> asng.Architecture:
        """Train networks alone from the initial weights, as long as `left` allows, and return the best.

        As in the final of `OneShotSearch`, all get the same batches and the loss is that on the whole
        validation half. There are fewer networks if each would otherwise get less than 10 steps.
        """
        each = self.units(len(self.valid)) + 10 * TRAINING_PASS
        networks = networks[: max(1, int(left / each))]
        if len(networks) == 1:
            return networks[0]
        losses = self.losses_alone(networks, self.steps_alone(left / len(networks)))
        return networks[losses.index(min(losses))]

    def steps_alone(self, left: float) -> int:
        """Return how many training steps `left` pays for, besides a pass over the validation half."""
        return int((left - self.units(len(self.valid))) / TRAINING_PASS)

    def losses_alone(self, networks: Sequence[asng.Architecture], steps: int) -> list[float]:
        """Train networks alone from the initial weights for some steps; return their validation losses."""
        torch.manual_seed(self.seed)
        fresh = supernet_of(self.problem)  # the initial weights of the search
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
                    self.counted(single, batch).backward()
                    torch.nn.utils.clip_grad_norm_(fresh.parameters(), 5.0)
                    weights.step()
                    schedule.step()
            fresh.eval()
            with torch.no_grad(), batch_statistics(fresh):  # entered anew: eval() ends what it began
                held = batches(self.valid, min(self.problem.batch, len(self.valid)))
                losses.append(sum(float(self.counted(single, batch)) for batch in held))
        return losses

    def valid_items(self, most: int | None = None) -> tuple[Tensor, Tensor]:
        """Return the first `most` items of the validation half, which are in random order, or all."""
        inputs, labels = self.valid.tensors
        return inputs[:most], labels[:most]

    @torch.no_grad()
    def losses(self, networks: Sequence[asng.Architecture], items: tuple[Tensor, Tensor]) -> list[float]:
        """Score networks on the shared weights, with batch norms by these items: less is better."""
        self.supernet.eval()
        with batch_statistics(self.supernet):
            return [
                float(self.counted(partial(self.supernet, architecture=network), items))
                for network in networks
            ]
