"""Settings of a search that do not depend on the task, and presets of search and task settings."""

import math
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any, Generic, Literal, TypeVar

from asng.checks import keep_integer, one_of, real_between, torch_seed
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
        retrain_seed: Seed of their initial weights and batches; default: the seed of the run.
        peers: Random networks of the same space to compare with; they are trained like the found one.
        update: How theta is updated: by this library's rules ("default") or by the paper's ("paper").
        lam_x: Architectures trained per step.
        lam_theta: Architectures scored per step, at least 2.
        warmup: Share of the steps before updates of theta begin, 0 to 1; default: theta is updated in the
            second half if the order of some architectures on the shared weights has settled.
        final: Share of the search's cost for training finalists alone at its end, 0 (none) to 0.9.
        finalists: Largest number of finalists, at least 2.
        budget: Limits on the cost of the network, by name of measure: a number, or with "%" a share of the
            cost of the whole network. Measures: parameters, multiply_adds, bytes, activation_memory, latency
            and onnx_latency; default: no limit.
        learning_rate: Initial learning rate of the weights; it falls along half a cosine.
        stop_entropy: End the search if the mean entropy of the choices falls to this, 0 to 1; 0: never.
        patience: End it after this many steps without a change of the likeliest architecture; default: never.
        checkpoint_seconds: Seconds between checkpoints; longer if they would take over 2 % of the time.
        checkpoint_steps: Write a checkpoint after this many steps too; default: by time only.
        device: Where to compute: auto (an accelerator if there is one), cpu, mps, cuda or cuda:N. With auto,
            each of several processes uses its own.
        precision: Precision of the passes: float32, or bfloat16 by torch's autocast.
        compile: Compile operations of the supernet by torch.compile; the report says what it gained.
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
        check_integers(self, checkpoint_steps=1, patience=1, retrain_seed=0)
        if self.retrain_seed is not None:
            torch_seed("retrain_seed", self.retrain_seed)
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
        """Return the budgets that `budget` describes.

        Raises:
            InputError: There is no such measure, or a limit is not a number or out of its range.
        """
        from asng.costs import budgets_of  # imports torch

        return budgets_of(self.budget or {})


def check_integers(settings: Any, **least: int) -> None:
    """Check that settings are integers of at least some value; a field whose default is None may be None.

    Args:
        settings: A dataclass instance.
        least: Maps the name of each field to check to its smallest value.

    Raises:
        InputError: A field is not an integer, or is too small.
    """
    for field in fields(settings):
        value = getattr(settings, field.name)
        if field.name in least and not (value is None and field.default is None):
            keep_integer(settings, field.name, least[field.name])


@dataclass(frozen=True)
class Preset(Generic[_Task]):
    """Settings of a task and of its search that belong together.

    Args:
        task: The data, the space of networks, and how they are trained.
        search: How long to search, and by which rules.
        iterations: Steps of the search, instead of the epochs in `search`; 0: use those epochs.
        retrain_iterations: Steps of training each network from scratch, likewise.
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
"""The settings of Akimoto et al. (2019), section 5, and what their code adds."""


def passes(iterations: int, batches: int) -> int:
    """Return the number of passes over the data that comes nearest to a number of iterations.

    It is at least 1, except that 0 iterations give 0 passes.

    Args:
        iterations: Number of iterations, at least 0.
        batches: Batches in one pass.

    Example:
        >>> passes(50_000, 5_086), passes(3, 10), passes(0, 10)
        (10, 1, 0)
    """
    return max(1, round(iterations / batches)) if iterations else 0
