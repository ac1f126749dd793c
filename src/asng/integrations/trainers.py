"""One-shot search inside the training loop of another library: what all trainers share.

The trainer trains the weights on its batches, with its optimiser, in its precision and its processes. Before
each step, an architecture is drawn for the model to follow; after it, theta may be updated. Outside a step,
as in a trainer's own validation, the model follows the likeliest architecture.
"""

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import torch
from torch import nn
from torch.utils.data import DataLoader

from asng.checks import integer_at_least, real_between
from asng.distributed import mean_over_processes, place_among
from asng.errors import AsngError, InputError, RunError
from asng.nn import Supernet, following
from asng.optim import ASNG, Optimizer
from asng.space import Architecture
from asng.training import Objective, batch_statistics, recalibrate
from asng.training.data.nested import to_device
from asng.training.data.stream import BatchStream
from asng.training.forward import ArchitectureForward
from asng.training.inputs import calls_in
from asng.training.modes import kept_modes
from asng.training.objective import Forward, as_number

__all__ = ["TrainerSearch"]


class TrainerSearch:
    """Draws architectures for a trainer's steps, and updates theta by scores on held-out batches.

    A trainer's callback calls `start`, then `begin_step` and `end_step` around each of its steps, and `stop`.
    In several processes, all draw the same architecture, and its score is the mean over their batches.

    Args:
        supernet: A Supernet over the model that the trainer trains, or over its searchable part. It copies
            nothing, and the model itself needs no changes.
        valid_loader: Held-out data on which architectures are scored, with a length. Each of several
            processes takes its own batches from it.
        minimize: The function of (forward, batch) by which to select; lower is better.
        maximize: The same, but higher is better. Give one of the two.
        warmup: Share of the training before theta is updated, in [0, 1]: untrained weights say little.
        every: Steps from one update of theta to the next, at least 1.
        lam: Architectures that are scored for an update, at least 2.
        optimizer: Optimiser of theta, over `supernet.space`. Default: that of a one-shot search.
        seed: Seed of the draws, the same in all processes.

    Attributes:
        theta: The optimiser of theta.
        taken: Number of steps taken.
        objective: Mean score at the last update of theta; None before.
        around: Makes the context in which architectures are scored, such as a trainer's precision.
        convert: Converts a held-out batch before it is scored, such as to a trainer's precision.

    Raises:
        InputError: An argument is not as described.

    Example:
        In a loop of your own:

        >>> import asng, torch
        >>> from torch.utils.data import TensorDataset
        >>> torch.manual_seed(0)                                            # doctest: +ELLIPSIS
        <torch._C.Generator object at ...>
        >>> hidden, x = asng.nn.Linear(2, asng.Integer(1, 8, label="width")), torch.randn(64, 2)
        >>> model = torch.nn.Sequential(hidden, torch.nn.Tanh(), asng.nn.Linear(8, 1))
        >>> loader = DataLoader(TensorDataset(x, x[:, :1]), batch_size=8)
        >>> loss = asng.supervised(torch.nn.functional.mse_loss)
        >>> search = TrainerSearch(asng.nn.Supernet(model), loader, minimize=loss)
        >>> descent = torch.optim.SGD(model.parameters(), lr=0.1)
        >>> search.start(steps=8)
        >>> for batch in loader:
        ...     search.begin_step()
        ...     descent.zero_grad()
        ...     loss(model, batch).backward()
        ...     descent.step()
        ...     moved = search.end_step()
        >>> search.stop()
        >>> search.theta.generation, type(search.child()).__name__
        (4, 'Sequential')
    """

    def __init__(
        self,
        supernet: Supernet,
        valid_loader: DataLoader[Any],
        *,
        minimize: Objective | None = None,
        maximize: Objective | None = None,
        warmup: float = 0.5,
        every: int = 1,
        lam: int = 2,
        optimizer: Optimizer | None = None,
        seed: int = 0,
    ) -> None:
        if not isinstance(supernet, Supernet):
            raise InputError(
                f"supernet: expected a Supernet, got {type(supernet).__name__}. Wrap the model: "
                "asng.nn.Supernet(model)."
            )
        if (minimize is None) == (maximize is None):
            got = "none" if minimize is None else "both"
            raise InputError(f"minimize, maximize: expected one of them, got {got}.")
        self.supernet, self.valid_loader = supernet, valid_loader
        self._name, self._sign = ("minimize", 1.0) if maximize is None else ("maximize", -1.0)
        self.select: Objective = minimize or maximize  # type: ignore[assignment]
        if not callable(self.select):
            raise InputError(f"{self._name}: expected a function of (forward, batch), got {self.select!r}.")
        self.warmup = real_between("warmup", warmup, 0.0, 1.0)
        self.every, self.lam = integer_at_least("every", every, 1), integer_at_least("lam", lam, 2)
        if optimizer is not None and optimizer.space != supernet.space:
            raise InputError("optimizer: expected one over supernet.space, got another space.")
        self.theta = optimizer or ASNG(
            supernet.space, lam=lam, seed=seed, reuse=False, covariance=False, spread=0.5
        )
        self._held_out = BatchStream(valid_loader, "valid_loader")
        self._followed: following | None = None
        self._first_move = 0
        self.taken = 0
        self.objective: float | None = None
        self.around: Callable[[], AbstractContextManager[Any]] = nullcontext
        self.convert: Callable[[Any], Any] = lambda batch: batch

    # --- results ----------------------------------------------------------------------------------------

    @property
    def architecture(self) -> Architecture:
        """The likeliest architecture so far."""
        return self.theta.best

    def child(self, train_loader: DataLoader[Any] | None = None) -> nn.Module:
        """Return the likeliest architecture as a plain network with the weights that it shares.

        Args:
            train_loader: Data for the running averages of its batch norms. Default: the held-out data.

        Returns:
            The network, in eval mode.
        """
        architecture = self.architecture
        with kept_modes(self.supernet):
            self.supernet.eval()
            calls = calls_in(self.supernet, architecture, self._score, self._held_out.first(), training=False)
            child = self.supernet.extract(architecture, example=calls or None)
        return recalibrate(child, train_loader or self.valid_loader, loss=self._score)

    # --- what a trainer calls ---------------------------------------------------------------------------

    def start(self, steps: int) -> None:
        """Let the model follow the likeliest architecture, and plan the warm-up.

        Args:
            steps: Steps of the whole training, including those before it was resumed.
        """
        self._first_move = round(self.warmup * integer_at_least("steps", steps, 1))
        self.follow()

    def follow(self) -> None:
        """Let the model follow the likeliest architecture until the next step, or until `stop`."""
        self._follow(self.theta.best)

    def begin_step(self) -> None:
        """Draw an architecture for the model to follow until `end_step`."""
        self._follow(self.theta.ask(1)[0].architecture)

    def end_step(self) -> bool:
        """Count the step, and update theta if it is due; return whether it was updated."""
        self.taken += 1
        moves = self.taken > self._first_move and self.taken % self.every == 0
        if moves:
            self.move_theta()
        self.follow()
        return moves

    def stop(self) -> None:
        """Stop steering the model, also after an error; calling this again is harmless."""
        self._follow(None)
        self._held_out.close()

    def move_theta(self) -> None:
        """Score architectures on a held-out batch, and tell the optimiser of theta."""
        device = next((p.device for p in self.supernet.parameters()), torch.device("cpu"))
        batch, candidates = to_device(self._next_batch(), device), self.theta.ask(self.lam)
        told, values = [], []
        with kept_modes(self.supernet), torch.no_grad(), self.around():
            self.supernet.eval()
            with batch_statistics(self.supernet):  # the running averages mix all architectures
                for candidate in candidates:
                    forward = ArchitectureForward(self.supernet, candidate.architecture)
                    values.append(as_number(self._score(forward, batch), self._name, self.select))
                    told.append(candidate if forward.read is None else candidate.with_active(forward.read))
        values = mean_over_processes(values, device)
        self.objective = sum(values) / len(values)
        self.theta.tell(told, [self._sign * value for value in values])

    def _score(self, forward: Forward, batch: Any) -> Any:
        return self.select(forward, self.convert(batch))

    def _next_batch(self) -> Any:
        """Return the held-out batch of this process: all read the same batches, and each takes its turn."""
        place, size = place_among()
        return [self._held_out.next() for _ in range(size)][place]

    def _follow(self, architecture: Architecture | None) -> None:
        """Let the model follow another architecture from now on; None for no architecture."""
        if self._followed is not None:
            self._followed.__exit__()
        self._followed = None if architecture is None else following(self.supernet.space.normal(architecture))
        if self._followed is not None:
            self._followed.__enter__()

    # --- checkpoints ------------------------------------------------------------------------------------

    def state_dict(self) -> dict[str, Any]:
        """Return what a resumed training needs: plain values and tensors of bytes."""
        return {
            "theta": self.theta.state_dict(),
            "taken": self.taken,
            "held_out": self._held_out.state_dict(),
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Restore a state that `state_dict` returned.

        Raises:
            RunError: The state is of another space, of another loader, or damaged.
        """
        try:
            theta, taken, held_out = state["theta"], state["taken"], state["held_out"]
            self.theta.load_state_dict(theta)
            self._held_out.load_state_dict(held_out)
            self.taken = integer_at_least("taken", taken, 0)
            if self._followed is not None:
                self.follow()
        except AsngError:
            raise
        except (KeyError, TypeError, AttributeError, ValueError) as error:
            raise RunError(
                "state: expected what state_dict of the search returned, got something else "
                f"({error!r:.80}). Resume from a checkpoint of a training with this callback."
            ) from error
