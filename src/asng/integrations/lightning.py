"""One-shot search inside Lightning's Trainer."""

import math
from typing import Any

import torch
from torch import nn
from torch.utils.data import DataLoader

from asng.errors import InputError, RunError
from asng.integrations.trainers import TrainerSearch
from asng.nn import Supernet
from asng.optim import Optimizer
from asng.space import Architecture
from asng.training import Objective

try:
    from lightning.pytorch import Callback, LightningModule, Trainer
except ImportError as error:
    raise ImportError(
        f"asng.integrations.lightning: expected the library lightning, got: {error}. Install it: "
        "pip install 'asng[lightning]'."
    ) from error

__all__ = ["ASNGCallback"]


class ASNGCallback(Callback):
    """Searches an architecture while Lightning trains the shared weights.

    Before each training batch, the searchable layers of the module are set to an architecture drawn from
    theta. After it, theta is updated by architectures that are scored on held-out batches. In validation,
    test and prediction, the layers are set to the likeliest architecture. All else is Lightning's:
    optimisers, precision, devices, checkpoints.

    The state of theta is in Lightning's checkpoints; `trainer.fit(..., ckpt_path=...)` resumes it. Under DDP,
    choose `strategy="ddp_find_unused_parameters_true"`, because a step trains a part of the weights. All
    processes draw the same architecture. FSDP and DeepSpeed are not supported. The metrics `asng/objective`,
    `asng/entropy` and `asng/delta` go to the loggers of the Trainer.

    Args:
        supernet: A Supernet over the network inside the LightningModule, or over the module itself:
            `Supernet(net)` copies nothing, and `net(x)` in `training_step` stays as it is.
        valid_loader: Held-out data on which architectures are scored.
        minimize: The function of (forward, batch) by which to select, such as
            `asng.supervised(cross_entropy)`; lower is better.
        maximize: The same, but higher is better. Give one of the two.
        warmup: Share of the training before theta is updated, in [0, 1].
        every: Batches from one update of theta to the next, at least 1.
        lam: Architectures that are scored for an update, at least 2.
        optimizer: Optimiser of theta. Default: that of a one-shot search.
        seed: Seed of the draws.

    Attributes:
        search: The `TrainerSearch` that draws architectures and updates theta.

    Raises:
        InputError: An argument is not as described, or `fit` starts with a training of unknown length.
        RunError: `fit` resumes from a checkpoint of a training without this callback.

    Example:
        >>> import asng, lightning
        >>> callback = ASNGCallback(asng.nn.Supernet(module.net), valid, minimize=loss)  # doctest: +SKIP
        >>> lightning.Trainer(max_epochs=4, callbacks=[callback]).fit(module, train)     # doctest: +SKIP
        >>> callback.child()                                                             # doctest: +SKIP
        Sequential(...)
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
        self.search = TrainerSearch(
            supernet,
            valid_loader,
            minimize=minimize,
            maximize=maximize,
            warmup=warmup,
            every=every,
            lam=lam,
            optimizer=optimizer,
            seed=seed,
        )
        self._resumed = False

    @property
    def architecture(self) -> Architecture:
        """The likeliest architecture so far."""
        return self.search.architecture

    def child(self, train_loader: DataLoader[Any] | None = None) -> nn.Module:
        """Return the likeliest architecture as a plain network with the weights that it shares.

        Args:
            train_loader: Data for the running averages of its batch norms. Default: the held-out data.
        """
        return self.search.child(train_loader)

    # --- Lightning's hooks ------------------------------------------------------------------------------

    def setup(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        """Follow the likeliest architecture, also in `validate`, `test`, `predict` and a tuner."""
        self._resumed = False
        self.search.convert = trainer.precision_plugin.convert_input
        self.search.follow()

    def teardown(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        """Stop steering the model."""
        self.search.stop()

    def on_fit_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Plan the warm-up."""
        if trainer.ckpt_path is not None and not self._resumed:
            raise RunError(
                f"ckpt_path: expected a checkpoint of a training with {type(self).__name__}, got one without "
                "it. To search with its weights, load them by module.load_state_dict and leave ckpt_path out."
            )
        steps = trainer.estimated_stepping_batches * trainer.accumulate_grad_batches
        if not math.isfinite(steps):
            raise InputError(
                "ASNGCallback: expected a training whose length is known, for the warm-up, got one without "
                "an end. Give the Trainer max_epochs or max_steps."
            )
        self.search.around = trainer.precision_plugin.forward_context
        self.search.start(int(steps))

    def on_train_batch_start(
        self, trainer: Trainer, pl_module: LightningModule, batch: Any, batch_idx: int
    ) -> None:
        """Draw an architecture."""
        self.search.begin_step()

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Update theta if it is due, and log its metrics."""
        if not self.search.end_step():
            return
        theta = self.search.theta
        figures = {"objective": self.search.objective, "entropy": theta.entropy, "delta": theta.delta}
        finite = {f"asng/{name}": x for name, x in figures.items() if x is not None and math.isfinite(x)}
        pl_module.log_dict({name: torch.tensor(x, dtype=torch.float32) for name, x in finite.items()})

    def on_fit_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Stop steering the model."""
        self.search.stop()

    def on_exception(self, trainer: Trainer, pl_module: LightningModule, exception: BaseException) -> None:
        """Stop steering the model after an error."""
        self.search.stop()

    def state_dict(self) -> dict[str, Any]:
        """Return the state of theta, and the position in the held-out data."""
        return self.search.state_dict()

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Restore what `state_dict` returned."""
        self.search.load_state_dict(state_dict)
        self._resumed = True
