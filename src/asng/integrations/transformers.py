"""One-shot search inside the Trainer of Hugging Face transformers."""

import base64
from typing import Any

import numpy as np
import torch
from torch import nn
from torch.utils.data import DataLoader

from asng.errors import InputError, RunError
from asng.integrations.trainers import TrainerSearch
from asng.nn import Supernet
from asng.optim import Optimizer
from asng.space import Architecture
from asng.training import Objective
from asng.training.objective import Forward

try:
    from transformers import TrainerCallback, TrainerControl, TrainerState, TrainingArguments
    from transformers.trainer_callback import ExportableState
except ImportError as error:
    raise ImportError(
        f"asng.integrations.transformers: expected the library transformers, got: {error}. Install it: "
        "pip install 'asng[transformers]'."
    ) from error

__all__ = ["ASNGTrainerCallback", "own_loss"]

_BYTES = "base64"


def own_loss(forward: Forward, batch: Any) -> torch.Tensor:
    """Return the loss that a transformers model itself computes for a batch with labels."""
    loss: torch.Tensor | None = forward(**batch).loss
    if loss is None:
        raise InputError(
            f"minimize: expected a model that returns a loss, got none for a batch of {', '.join(batch)}. "
            "Put labels into the held-out batches, or give minimize or maximize."
        )
    return loss


class ASNGTrainerCallback(TrainerCallback, ExportableState):
    """Searches an architecture while a Trainer trains the shared weights.

    Before each step of the Trainer, the searchable layers of the model are set to an architecture drawn from
    theta. After it, theta is updated by architectures that are scored on held-out batches. Whenever the
    Trainer evaluates during the training, the layers are set to the likeliest architecture. All else is up to
    the Trainer. Before and after the training, evaluate inside
    `with supernet.following(callback.architecture):`, or evaluate `child()`.

    The state of theta is in the `trainer_state.json` of each checkpoint;
    `trainer.train(resume_from_checkpoint=...)` resumes it. Leave `restore_callback_states_from_checkpoint`
    off, since it would put another object in the place of this one.

    Args:
        supernet: `Supernet(model)` over the model of the Trainer, which copies nothing; or the supernet that
            `asng.nn.searchable(model)` returns, whose `model` the Trainer then gets.
        valid_loader: Held-out data on which architectures are scored. Its batches are like those of the
            Trainer: mappings that the model takes by name.
        minimize: The function of (forward, batch) by which to select; lower is better. Default: the model's
            own loss.
        maximize: The same, but higher is better.
        warmup: Share of the training before theta is updated, in [0, 1].
        every: Steps from one update of theta to the next, at least 1.
        lam: Architectures that are scored for an update, at least 2.
        optimizer: Optimiser of theta. Default: that of a one-shot search.
        seed: Seed of the draws.

    Attributes:
        search: The `TrainerSearch` that draws architectures and updates theta.

    Raises:
        InputError: An argument is not as described.
        RunError: A training is resumed whose checkpoint has no theta, or that of another space.

    Example:
        >>> import asng, transformers
        >>> callback = ASNGTrainerCallback(asng.nn.Supernet(model), valid)                # doctest: +SKIP
        >>> transformers.Trainer(model, callbacks=[callback], train_dataset=data).train()  # doctest: +SKIP
        >>> callback.child()                                                              # doctest: +SKIP
        BertForSequenceClassification(...)
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
            minimize=own_loss if minimize is None and maximize is None else minimize,
            maximize=maximize,
            warmup=warmup,
            every=every,
            lam=lam,
            optimizer=optimizer,
            seed=seed,
        )

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

    # --- the Trainer's hooks ----------------------------------------------------------------------------

    def on_train_begin(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        """Resume theta if the training is resumed, and follow the likeliest architecture."""
        if state.global_step > 0:
            self._resume(state)
        self.search.start(state.max_steps)

    def on_step_begin(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        """Draw an architecture."""
        self.search.begin_step()

    def on_step_end(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        """Update theta if it is due."""
        self.search.end_step()

    def on_train_end(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        """Stop steering the model."""
        self.search.stop()

    def state(self) -> dict[str, Any]:
        """Return what goes into `trainer_state.json`."""
        return {"args": {}, "attributes": {}, "asng": _to_json(self.search.state_dict())}

    def _resume(self, state: TrainerState) -> None:
        """Resume from what a checkpoint holds of this callback."""
        stored: Any = (state.stateful_callbacks or {}).get(type(self).__name__)
        if not isinstance(stored, dict) or "asng" not in stored:
            raise RunError(
                f"resume_from_checkpoint: expected a checkpoint of a training with {type(self).__name__}, "
                "got one without it. Start again, or resume from another checkpoint."
            )
        self.search.load_state_dict(_from_json(stored["asng"]))


def _to_json(value: Any) -> Any:
    """Replace tensors by plain values; they are one-dimensional states of generators."""
    if isinstance(value, torch.Tensor):
        array = value.numpy()
        return {_BYTES: base64.b64encode(array.tobytes()).decode(), "dtype": str(array.dtype)}
    if isinstance(value, dict):
        return {key: _to_json(part) for key, part in value.items()}
    return value


def _from_json(value: Any) -> Any:
    if isinstance(value, dict) and value.keys() == {_BYTES, "dtype"}:
        content = base64.b64decode(value[_BYTES])
        return torch.from_numpy(np.frombuffer(content, value["dtype"]).copy())
    if isinstance(value, dict):
        return {key: _from_json(part) for key, part in value.items()}
    return value
