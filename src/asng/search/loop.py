"""One run of a search: the steps, what is logged of them, and what is found."""

import math
import random
import time
import warnings
from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from torch.utils.data import DataLoader

from asng.costs.meter import CostMeter
from asng.costs.terms import checked_costs
from asng.distributed import Comm
from asng.errors import InputError
from asng.runs.checkpoint import CheckpointPace, save_checkpoint
from asng.runs.environment import machine, versions
from asng.runs.events import EndEvent, StartEvent, StepEvent, ThetaEvent
from asng.runs.files import write_text
from asng.runs.folder import (
    ARCHITECTURE,
    CHECKPOINT,
    LOG,
    SEARCH_FILES,
    refuse_earlier_run,
    remove_halves,
    remove_run,
)
from asng.runs.log import RunLog, note_resume
from asng.search.final import Final
from asng.search.finalists import plan_of
from asng.search.found import Found, best_within, found_of, nothing_within
from asng.search.run_state import become_alike, check_alike, digest, restore_alike, state_of
from asng.search.steps import theta_step
from asng.search.stopping import Watch
from asng.search.trainer import weight_step
from asng.space import Candidate
from asng.training.data.nested import to_device
from asng.training.data.stream import BatchStream
from asng.training.faults import FiniteWatch, OutOfMemory, is_out_of_memory, origin
from asng.training.inputs import inputs_of
from asng.training.modes import Modes
from asng.training.objective import Objective, as_number, qualified_name
from asng.training.progress import Bar
from asng.training.signals import Interrupt

if TYPE_CHECKING:
    from asng.search.one_shot import OneShotSearch

__all__ = ["Loop"]


class Loop:
    """One run of a search.

    Args:
        search: The settings.
        train_loader: Trains the weights.
        valid_loader: Scores architectures.
        epochs: How many times to go through the training data.
        folder: The run folder, or None.
        norms: The batch norms of the supernet, which use the batch at hand in evaluation too.
        comm: The processes of the run.
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
        comm: Comm,
    ) -> None:
        self.search, self.folder, self.comm = search, folder, comm
        self.supernet = search.supernet
        self.train = BatchStream(train_loader, "train_loader", comm)
        self.train.whole = comm.trains_apart(search.lam_x)
        self.valid = BatchStream(valid_loader, "valid_loader")
        plan = plan_of(
            epochs * len(self.train),
            share=search.final,
            finalists=search.finalists,
            lam_x=search.lam_x,
            moving=1.0 - search.warmup,
            lam_theta=search.lam_theta,
            valid_batches=len(self.valid),
        )
        self.steps = plan.steps
        # Rounded first: 0.07 * 100 is a little more than 7.
        self.first_theta_step = math.ceil(round(search.warmup * self.steps, 6))
        self.parameters = [p for p in self.supernet.parameters() if p.requires_grad]
        if not self.parameters:
            raise InputError("supernet: expected at least one weight to train, got none.")
        self.device = self.parameters[0].device
        self.make_optimizer(self.steps)
        if search.architecture_optimizer is None:  # set in __post_init__
            raise InputError("architecture_optimizer: expected an optimiser, got None.")
        self.theta = search.architecture_optimizer
        self.watch = Watch(search.stop)
        self.finite = FiniteWatch()
        self.memory = OutOfMemory()
        self.meter = CostMeter(self.supernet, checked_costs(search.cost), self.example, comm)
        self.modes = Modes(self.supernet, norms)
        self.costs: list[Mapping[str, float]] = []  # of the candidates of the last theta step
        self.step = 0
        self.evaluated = 0
        self.over_budget = 0
        self.seconds = 0.0
        self.reason: str | None = None
        self.ended = False
        self.passed_over = ""  # why the newest checkpoint was not the one to go on from
        self.log = RunLog(None)
        become_alike(self)
        self.final = Final(self, plan)
        self.pace = CheckpointPace(search.checkpoint_seconds, search.checkpoint_steps)

    def make_optimizer(self, steps: int) -> None:
        """Make the optimiser of weights anew, and its schedule over so many steps."""
        make = self.search.scheduler
        self.optimizer = self.search.optimizer(self.parameters)
        self.scheduler = None if make is None else make(self.optimizer, steps)

    @property
    def all_steps(self) -> int:
        """Training steps of the search and of all finalists."""
        return self.steps + self.final.plan.finalists * self.final.plan.alone

    # --- begin, resume, end -------------------------------------------------------------------------

    def begin(self, *, resume: bool, overwrite: bool) -> None:
        """Open the run folder: go on from its checkpoint, or start it anew."""
        if self.folder is None:
            if resume:
                raise InputError("resume: expected a run_dir to resume from, got None.")
        elif resume:
            keep = restore_alike(self, self.folder / CHECKPOINT)
            self.log = RunLog(self.folder / LOG if self.comm.leads else None, keep=keep)
            self.comm.once(partial(remove_halves, self.folder))
        elif not overwrite:
            self.comm.once(partial(refuse_earlier_run, self.folder, SEARCH_FILES))
        if not self.ended:
            self.meter.prepare()  # while no pass over the data is under way
        if self.folder is not None and not resume:
            self.start(self.folder)
        elif self.folder is not None and not self.ended:
            note = partial(note_resume, self.folder, step=self.step, passed_over=self.passed_over)
            self.comm.once(note)

    def start(self, folder: Path) -> None:
        """Make the run folder that of a new run."""
        self.comm.once(partial(remove_run, folder, SEARCH_FILES))
        self.log = RunLog(folder / LOG if self.comm.leads else None, keep=0)
        self.log_start()
        self.log_theta()
        self.save()  # a run killed in its first minute can be resumed too

    def example(self) -> tuple[Any, ...]:
        """Return the inputs that costs are measured on: the given ones, or those of the first batch."""
        given = self.search.example
        if given is not None:
            # A packed sequence and other named tuples are one input.
            return given if type(given) is tuple else (given,)
        some = self.supernet.space.sample(random.Random(0))  # whichever: the loss does not know it
        return inputs_of(self.supernet, some, self.search.loss, self.train.first())

    def log_start(self) -> None:
        """Log what the run is."""
        space = {name: variable.to_json() for name, variable in self.supernet.space.items()}
        name, function, _ = self.search.selection()
        event = StartEvent(
            time=time.strftime("%Y-%m-%dT%H:%M:%S%z"),
            seed=self.search.seed,
            steps=self.steps,
            space=space,
            n_theta=self.theta.n_theta,
            objective={"select": name, "function": qualified_name(function)},
            final={"finalists": self.final.plan.finalists, "steps": self.final.plan.alone},
            versions=versions(),
            machine=machine(),
        )
        self.log.write(event)

    def save(self) -> None:
        """Write a checkpoint."""
        check_alike(self)
        if self.folder is not None:
            began, path = time.perf_counter(), self.folder / CHECKPOINT
            keep = not self.passed_over
            self.comm.once(lambda: save_checkpoint(path, state_of(self), keep=keep))
            self.passed_over = ""
            self.pace.saved(took=time.perf_counter() - began)

    def end(self) -> Found:
        """Say why the run ended, and leave the found architecture; harmless where that was done."""
        if self.reason is None:
            self.reason = "finished"
        found = (
            found_of(self.meter, best)
            if (best := self.final.found())
            else best_within(self.meter, self.theta)
        )
        if not self.ended:
            self.ended = True
            end = EndEvent(step=self.step, reason=self.reason, **self.cost_fields([found.cost]))
            self.log.write(end)
            self.save()
        if found.excess > 0.0:
            raise nothing_within(self.meter.terms, found.cost)
        if self.folder is not None and self.comm.leads:
            write_text(self.folder / ARCHITECTURE, found.architecture.to_json() + "\n")
        return found

    # --- the steps ----------------------------------------------------------------------------------

    def run(self, bar: Bar, interrupt: Interrupt) -> Found:
        """Take steps until the last, a reason to stop, or a signal; return what was found."""
        clock = time.perf_counter()
        while self.step < self.steps and self.reason is None:
            train_loss, objective = self.one_step()
            now = time.perf_counter()
            self.seconds, clock = self.seconds + now - clock, now
            self.note(train_loss, objective)
            figures = {"objective": objective, "entropy": self.theta.entropy, "delta": self.theta.delta}
            bar.update(self.step, loss=train_loss, **figures)
            more = (self.reason is None and self.step < self.steps) or not self.final.over
            self.pause(interrupt, more)
        while not self.final.over:
            self.final.advance()
            now = time.perf_counter()
            self.seconds, clock = self.seconds + now - clock, now
            bar.update(self.steps + self.final.steps_taken)
            self.pause(interrupt, not self.final.over)
        return self.end()

    def pause(self, interrupt: Interrupt, more: bool) -> None:
        """Between two pieces of work: end at a signal, or write a checkpoint if one is due.

        Args:
            interrupt: Whether a signal came.
            more: Whether work is left.
        """
        flags = bool(interrupt), interrupt.terminated, self.pace.due()
        interrupted, terminated, due = self.comm.either(*flags, digest=lambda: digest(self))
        if interrupted:
            interrupt.hear(terminated=terminated)
            if more:
                self.end_interrupted(interrupt)
        if due:
            self.save()

    def one_step(self) -> tuple[float, float | None]:
        """Train weights, then move theta; return the training loss and the mean objective, if any."""
        self.modes.set(training=True)
        batch, loss = to_device(self.train.next(), self.device), self.search.loss
        candidates = self.theta.ask(self.search.lam_x)
        train_loss = weight_step(
            self.supernet,
            batch,
            [candidate.architecture for candidate in candidates],
            loss=loss,
            optimizer=self.optimizer,
            parameters=self.parameters,
            clip=self.search.clip,
            memory=self.memory,
            comm=self.comm,
            weight=self.train.weight,
        )
        self.finite.trained(train_loss, self.step, lambda: self.origin(loss, batch, candidates))
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

    def move_theta(self) -> float | None:
        """Take one step in theta; return the mean objective of the candidates that were scored, if any."""
        name, objective, sign = self.search.selection()
        self.modes.set(training=False)
        batch = to_device(self.valid.next(), self.device)
        candidates = self.theta.ask(self.search.lam_theta)
        scores = theta_step(
            self.supernet,
            batch,
            objective=objective,
            name=name,
            sign=sign,
            optimizer=self.theta,
            candidates=candidates,
            meter=self.meter,
            memory=self.memory,
            comm=self.comm,
        )
        self.evaluated += len(candidates)
        self.over_budget += scores.over
        self.costs = [cost.values for cost in scores.costs]
        self.finite.scored(
            scores.objectives,
            self.step,
            f"{name}: expected a finite number from {qualified_name(objective)}",
            lambda: self.origin(objective, batch, scores.scored),
        )
        self.reason = self.watch.reason_to_stop(self.theta.entropy, self.theta.best)
        return sum(scores.objectives) / len(scores.objectives) if scores.objectives else None

    def origin(self, function: Objective, batch: Any, candidates: Sequence[Candidate]) -> str:
        """Say where a value that is not finite comes from."""
        name = qualified_name(function)

        def run() -> float:
            value = 0.0
            for candidate in candidates:
                forward = partial(self.supernet, architecture=candidate.architecture)
                value = as_number(function(forward, batch), name, function)
                if not math.isfinite(value):
                    break
            return value

        try:
            return origin(self.supernet.model, run, name)
        except (MemoryError, RuntimeError) as error:
            if not is_out_of_memory(error):
                raise
            return f"{name} needs more memory than there is: give smaller batches, or a Budget over memory."

    # --- the log ------------------------------------------------------------------------------------

    def note(self, train_loss: float, objective: float | None) -> None:
        """Log the step: about 1,000 lines over a run, and theta about 150 times."""
        every, every_theta = max(1, self.steps // 1000), max(1, self.steps // 150)
        last = self.step == self.steps or self.reason is not None
        if self.step % every == 0 or last:
            event = StepEvent(
                step=self.step,
                epoch=(self.step - 1) // len(self.train),
                loss=train_loss,
                objective=objective,
                entropy=self.theta.entropy,
                delta=self.theta.delta,
                gamma=self.theta.gamma,
                seconds=round(self.seconds, 3),
                **self.cost_fields(self.costs),
            )
            self.log.write(event)
        if self.step % every_theta == 0 or last:
            self.log_theta()

    def log_theta(self) -> None:
        """Log the parameters of the distribution."""
        self.log.write(ThetaEvent.after(self.step, self.theta.theta.to_json()))

    def cost_fields(self, costs: Sequence[Mapping[str, float]]) -> dict[str, Any]:
        """Return what the log says of costs, where there are any: means by name, and counts up to now."""
        missed = {"out_of_memory": self.memory.count} if self.memory.count else {}
        if not self.meter.terms:
            return missed
        names = costs[0] if costs else ()
        means = {name: sum(values[name] for values in costs) / len(costs) for name in names}
        return {"cost": means, "evaluated": self.evaluated, "over_budget": self.over_budget, **missed}

    def end_interrupted(self, interrupt: Interrupt) -> None:
        """Leave a checkpoint and go."""
        self.save()  # before the last line, which a resumed run cuts off
        self.log.write(EndEvent(step=self.step, reason="interrupted", **self.cost_fields([])))
        raise interrupt.error()
