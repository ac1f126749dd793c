"""The settings of a search that are not those of a task, and sets of both that belong together."""

import math
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any, Generic, Literal, TypeVar

from asng.checks import integer_at_least, one_of, real_between
from asng.options import MOST_FINAL, PRECISIONS, Precision

if TYPE_CHECKING:
    from asng.costs import Budget

__all__ = ["PAPER", "Preset", "SearchSettings", "check_integers", "passes"]

_Task = TypeVar("_Task")


@dataclass(frozen=True)
class SearchSettings:
    """How long to search, how to train, and what to compare with.

    Args:
        epochs: Passes over the training half in the search.
        retrain_epochs: Passes over all training data for each network trained from scratch; 0 trains none.
        retrain_seed: Seed of their first weights and batches; default: that of the run.
        peers: Random networks of the same space, trained like the found one, to compare it with.
        update: How the choice moves: by this library's rules ("default") or by the paper's ("paper").
        lam_x: Architectures trained per step.
        lam_theta: Architectures scored per step, at least 2.
        warmup: Share of the steps before the choice among architectures begins to move, 0 to 1; default: it
            moves in the second half if the order of some architectures on the shared weights has settled.
        final: Share of the search's cost for training finalists alone at its end, 0 (none) to 0.9.
        finalists: How many architectures that are at most, at least 2.
        budget: What the network may cost, by name of measure: a number, or with "%" a share of what the whole
            network costs. Measures: parameters, multiply_adds, bytes, activation_memory, latency and
            onnx_latency; default: anything.
        learning_rate: Rate of the weights at the start; it falls along half a cosine.
        stop_entropy: End the search if the mean entropy of the choices falls to this, 0 to 1; 0: never.
        patience: End it after so many steps without a change of the likeliest architecture; default: never.
        checkpoint_seconds: Seconds between two checkpoints; more where they would take over 2 % of the time.
        checkpoint_steps: Write one after so many steps too; default: by time alone.
        device: Where to compute: auto (an accelerator if there is one), cpu, mps, cuda or cuda:N. With auto
            each of several processes has its own.
        precision: Of the passes: float32, or bfloat16 by torch's autocast.
        compile: Have torch.compile compile operations of the supernet; the report says what it brought.
    """

    epochs: int = 40
    retrain_epochs: int = 10
    retrain_seed: int | None = None
    peers: int = 4
    update: Literal["default", "paper"] = "default"
    lam_x: int = 1
    lam_theta: int = 2
    warmup: float | None = None
    final: float = 0.7
    finalists: int = 16
    budget: dict[str, float | str] | None = None
    learning_rate: float = 0.025
    stop_entropy: float = 0.0
    patience: int | None = None
    checkpoint_seconds: float = 60.0
    checkpoint_steps: int | None = None
    device: str = "auto"
    precision: Precision = "float32"
    compile: bool = False

    def __post_init__(self) -> None:
        check_integers(self, epochs=1, retrain_epochs=0, peers=0, lam_x=1, lam_theta=2, finalists=2)
        check_integers(self, checkpoint_steps=1, retrain_seed=0, patience=1)
        one_of("precision", self.precision, PRECISIONS)
        one_of("update", self.update, ["default", "paper"])
        if self.warmup is not None:
            real_between("warmup", self.warmup, 0.0, 1.0)
        real_between("final", self.final, 0.0, MOST_FINAL)
        if self.budget is not None:
            self.budgets()
        real_between("learning_rate", self.learning_rate, 0.0, 1e3, open_low=True)
        real_between("stop_entropy", self.stop_entropy, 0.0, 1.0)
        real_between("checkpoint_seconds", self.checkpoint_seconds, 0.0, math.inf)

    def budgets(self) -> "tuple[Budget, ...]":
        """Return the budgets that `budget` tells of.

        Raises:
            InputError: There is no such measure, or a number is none or out of its range.
        """
        from asng.costs import budgets_of  # and torch with it

        return budgets_of(self.budget or {})


def check_integers(settings: Any, **least: int) -> None:
    """Refuse settings that are less than some integer, or none; one whose default is None may be None.

    Args:
        settings: A dataclass.
        least: The least value by the name of the field.

    Raises:
        InputError: One is no integer, or less.
    """
    for field in fields(settings):
        value = getattr(settings, field.name)
        if field.name in least and not (value is None and field.default is None):
            integer_at_least(field.name, value, least[field.name])


@dataclass(frozen=True)
class Preset(Generic[_Task]):
    """The settings of a task and of its search.

    Args:
        task: Which data, which space of networks, and how they are trained.
        search: How long, and by which rules.
        iterations: Steps of the search, in place of the passes that `search` has; 0: as `search` says.
        retrain_iterations: Steps of training each network alone, likewise.
    """

    task: _Task
    search: SearchSettings
    iterations: int = 0
    retrain_iterations: int = 0


PAPER = SearchSettings(
    peers=0,  # each would take as long as the found network
    update="paper",
    lam_x=2,
    lam_theta=2,
    warmup=0.0,
    final=0.0,
    learning_rate=0.025,
)
"""Akimoto et al. (2019), section 5, and what their code adds."""


def passes(iterations: int, batches: int) -> int:
    """Return the number of passes over the data that comes nearest to so many iterations.

    At least one, but none for none.

    Args:
        iterations: How many, at least 0.
        batches: Of one pass.

    Example:
        >>> passes(50_000, 5_086), passes(3, 10), passes(0, 10)
        (10, 1, 0)
    """
    return max(1, round(iterations / batches)) if iterations else 0
