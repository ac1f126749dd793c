"""One run of a search: the steps, and all that a checkpoint must hold."""

import json
import math
import time
import warnings
from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch.utils.data import DataLoader

from asng.errors import AsngError, InputError, RunError
from asng.files import write_text
from asng.search.batches import BatchStream, to_device
from asng.search.checkpoint import load_checkpoint, save_checkpoint
from asng.search.environment import machine, versions
from asng.search.interrupt import Interrupt
from asng.search.progress import Bar
from asng.search.run_folder import (
    architecture_path,
    checkpoint_path,
    clear,
    log_path,
    refuse_earlier_run,
)
from asng.search.run_log import RunLog, theta_fields
from asng.search.steps import theta_step, weight_step
from asng.search.stopping import Watch

if TYPE_CHECKING:
    from asng.search.one_shot import OneShotSearch

__all__ = ["Loop"]

MOST_SKIPPED_STEPS = 100
"""So many weight steps without a finite loss, one after the other, mean that the weights are lost."""


_MISFITS = (AttributeError, KeyError, RuntimeError, TypeError, ValueError)
"""What the `load_state_dict` methods of torch raise where a state is not theirs."""


class Loop:
    """One run of a search.

    Args:
        search: The settings.
        train_loader: Trains the weights.
        valid_loader: Scores architectures.
        epochs: How many times to go through the training data.
        folder: The run folder, or None.
        norms: The batch norms of the supernet, which use the batch at hand.
    """

    def __init__(
        self,
        search: "OneShotSearch",
        train_loader: DataLoader[Any],
        valid_loader: DataLoader[Any],
        *,
        epochs: int,
        folder: Path | None,
        norms: list[Any],
    ) -> None:
        self.search, self.folder = search, folder
        self.supernet = search.supernet
        self.train = BatchStream(train_loader, "train_loader")
        self.valid = BatchStream(valid_loader, "valid_loader")
        self.steps = epochs * len(self.train)
        # Rounded first: 0.07 * 100 is a little more than 7.
        self.first_theta_step = math.ceil(round(search.warmup * self.steps, 6))
        self.parameters = [p for p in self.supernet.parameters() if p.requires_grad]
        if not self.parameters:
            raise InputError("supernet: expected at least one weight to train, got none.")
        self.device = self.parameters[0].device
        self.optimizer = search.optimizer(self.parameters)
        self.scheduler = None if search.scheduler is None else search.scheduler(self.optimizer, self.steps)
        if search.architecture_optimizer is None:  # set in __post_init__
            raise InputError("architecture_optimizer: expected an optimiser, got None.")
        self.theta = search.architecture_optimizer
        self.watch = Watch(search.stop)
        self.norms = norms
        self.step = 0
        self.skipped = 0
        self.seconds = 0.0
        self.reason: str | None = None
        self.ended = False
        self.log = RunLog(None)

    # --- begin, resume, end -------------------------------------------------------------------------

    def begin(self, *, resume: bool, overwrite: bool) -> None:
        """Open the run folder: go on from its checkpoint, or start it anew."""
        if self.folder is None:
            if resume:
                raise InputError("resume: expected a run_dir to resume from, got None.")
            return
        path = log_path(self.folder)
        if resume:
            keep = self.load_state(load_checkpoint(checkpoint_path(self.folder)))
            self.log = RunLog(path, keep=keep)
            if self.reason is None:
                self.log.write("resume", step=self.step)
            return
        if not overwrite:
            refuse_earlier_run(self.folder)
        clear(self.folder)
        self.log = RunLog(path)
        self.log_start()
        self.log_theta()
        self.save()  # a run killed in its first minute can be resumed too

    def log_start(self) -> None:
        """Log what the run is."""
        space = {name: variable.to_json() for name, variable in self.supernet.space.items()}
        self.log.write(
            "start",
            time=time.strftime("%Y-%m-%dT%H:%M:%S%z"),
            seed=self.search.seed,
            steps=self.steps,
            space=space,
            n_theta=self.theta.n_theta,
            versions=versions(),
            machine=machine(),
        )

    def save(self) -> None:
        """Write a checkpoint."""
        if self.folder is not None:
            save_checkpoint(checkpoint_path(self.folder), self.state())

    def end(self) -> None:
        """Say why the run ended, and leave the found architecture; harmless where that was done."""
        if self.reason is None:
            self.reason = "finished"
        if not self.ended:
            self.ended = True
            self.log.write("end", step=self.step, reason=self.reason)
            self.save()
        if self.folder is not None:
            write_text(architecture_path(self.folder), self.theta.best.to_json() + "\n")

    # --- the steps ----------------------------------------------------------------------------------

    def run(self, bar: Bar, interrupt: Interrupt) -> None:
        """Take steps until the last, a reason to stop, or a signal."""
        saved = clock = time.perf_counter()
        while self.step < self.steps and self.reason is None:
            train_loss, objective = self.one_step()
            now = time.perf_counter()
            self.seconds, clock = self.seconds + now - clock, now
            self.note(train_loss, objective)
            figures = {"objective": objective, "entropy": self.theta.entropy, "delta": self.theta.delta}
            bar.update(self.step, loss=train_loss, **figures)
            if interrupt and self.reason is None and self.step < self.steps:
                self.end_interrupted()
            if now - saved > self.search.checkpoint_seconds:
                self.save()
                saved = time.perf_counter()
        self.end()

    def one_step(self) -> tuple[float, float | None]:
        """Train weights, then move theta; return the training loss and the mean objective, if any."""
        self.set_mode(training=True)
        train_loss = weight_step(
            self.supernet,
            to_device(self.train.next(), self.device),
            self.theta.ask(self.search.lam_x),
            loss=self.search.loss,
            optimizer=self.optimizer,
            parameters=self.parameters,
            clip=self.search.clip,
        )
        self.count_skipped(train_loss)
        self.advance_schedule(skipped=not math.isfinite(train_loss))
        objective = self.move_theta() if self.step >= self.first_theta_step else None
        self.step += 1
        return train_loss, objective

    def advance_schedule(self, *, skipped: bool) -> None:
        """Count a step of the schedule, also for a weight step that was left out."""
        if self.scheduler is None:
            return
        with warnings.catch_warnings() if skipped else nullcontext():
            if skipped:  # torch would warn where it is the very first step
                warnings.filterwarnings("ignore", message=r".*before `optimizer\.step\(\)`")
            self.scheduler.step()

    def move_theta(self) -> float:
        """Take one step in theta; return the mean objective of its candidates."""
        name, objective, sign = self.search.selection()
        self.set_mode(training=False)
        values = theta_step(
            self.supernet,
            to_device(self.valid.next(), self.device),
            objective=objective,
            name=name,
            sign=sign,
            optimizer=self.theta,
            candidates=self.theta.ask(self.search.lam_theta),
        )
        self.reason = self.watch.reason_to_stop(self.theta.entropy, self.theta.best)
        return sum(values) / len(values)

    def set_mode(self, *, training: bool) -> None:
        """Set training or evaluation; batch norms use the batch in both."""
        self.supernet.train(training)
        for norm in self.norms:
            norm.training = True

    def count_skipped(self, train_loss: float) -> None:
        """Give up where the weights are lost."""
        self.skipped = 0 if math.isfinite(train_loss) else self.skipped + 1
        if self.skipped >= MOST_SKIPPED_STEPS:
            raise RunError(
                f"loss: expected a finite training loss, got none in {self.skipped} steps in a row (step "
                f"{self.step}). Lower the learning rate, or look for a NaN in the data."
            )

    # --- log and state ------------------------------------------------------------------------------

    def note(self, train_loss: float, objective: float | None) -> None:
        """Log the step: about 1,000 lines over a run, and theta about 150 times."""
        every, every_theta = max(1, self.steps // 1000), max(1, self.steps // 150)
        last = self.step == self.steps or self.reason is not None
        if self.step % every == 0 or last:
            self.log.write(
                "step",
                step=self.step,
                epoch=(self.step - 1) // len(self.train),
                loss=train_loss,
                objective=objective,
                entropy=self.theta.entropy,
                delta=self.theta.delta,
                gamma=self.theta.gamma,
                seconds=round(self.seconds, 3),
            )
        if self.step % every_theta == 0 or last:
            self.log_theta()

    def log_theta(self) -> None:
        """Log the parameters of the distribution."""
        self.log.write("theta", step=self.step, theta=theta_fields(self.theta.theta))

    def end_interrupted(self) -> None:
        """Leave a checkpoint and go."""
        self.save()  # before the last line, which a resumed run cuts off
        self.log.write("end", step=self.step, reason="interrupted")
        raise KeyboardInterrupt

    def state(self) -> dict[str, Any]:
        """Return all that a checkpoint must hold."""
        return {
            "step": self.step,
            "steps": self.steps,
            "seconds": self.seconds,
            "skipped": self.skipped,
            "reason": self.reason,
            "ended": self.ended,
            "log_bytes": self.log.flush(),
            "space": self.supernet.space.to_json(),
            "model": self.supernet.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "scheduler": None if self.scheduler is None else self.scheduler.state_dict(),
            "theta": json.dumps(self.theta.state_dict()),
            "watch": self.watch.state_dict(),
            "train": self.train.state_dict(),
            "valid": self.valid.state_dict(),
            "generator": torch.get_rng_state(),
            "cuda": torch.cuda.get_rng_state_all(),
        }

    def load_state(self, state: dict[str, Any]) -> int:
        """Go to where the checkpoint was taken; return how many bytes of the log belong to it."""
        if state["space"] != self.supernet.space.to_json():
            raise RunError(f"{self.folder}: is of another search space. Resume with its own model.")
        if state["steps"] != self.steps:
            raise RunError(
                f"{self.folder}: expected a run of {self.steps} steps, got one of {state['steps']}. "
                "Resume it with its own data, batch size and epochs."
            )
        try:
            self.take_over(state)
        except AsngError:
            raise
        except _MISFITS as error:
            raise RunError(
                f"{self.folder}: the checkpoint does not fit this search: {error}. Resume with its own "
                "model, optimizer and scheduler."
            ) from error
        return int(state["log_bytes"])

    def take_over(self, state: dict[str, Any]) -> None:
        """Set everything that changes to what the checkpoint holds."""
        if (state["scheduler"] is None) != (self.scheduler is None):
            raise ValueError("one of them has a scheduler and the other has none")
        self.supernet.load_state_dict(state["model"])
        self.optimizer.load_state_dict(state["optimizer"])
        if self.scheduler is not None:
            self.scheduler.load_state_dict(state["scheduler"])
        self.theta.load_state_dict(json.loads(state["theta"]))
        self.watch.load_state_dict(state["watch"])
        for name in ("step", "seconds", "skipped", "reason", "ended"):
            setattr(self, name, state[name])
        self.train.load_state_dict(state["train"])
        self.valid.load_state_dict(state["valid"])
        torch.set_rng_state(state["generator"])
        if len(state["cuda"]) == torch.cuda.device_count():  # else the run moved to another machine
            torch.cuda.set_rng_state_all(state["cuda"])
