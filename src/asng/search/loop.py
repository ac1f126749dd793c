"""One run of a search: its steps, its final, its log and its checkpoints."""

import math
import time
from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from functools import cached_property, partial
from pathlib import Path
from typing import Any

from asng.distributed import Comm
from asng.errors import RunError, located
from asng.optim import Optimizer
from asng.runs.checkpoint import CheckpointPace, save_checkpoint
from asng.runs.environment import machine, versions
from asng.runs.events import EndEvent, FinalistEvent, FinalistsEvent, StartEvent, StepEvent, ThetaEvent
from asng.runs.files import write_text
from asng.runs.folder import (
    ARCHITECTURE,
    CHECKPOINT,
    LOG,
    SEARCH_FILES,
    note_resume,
    refuse_earlier_run,
    remove_halves,
    remove_run,
)
from asng.runs.log import RunLog
from asng.search.callbacks import Callbacks
from asng.search.compiled import Compiling
from asng.search.final import Final
from asng.search.found import Found, best_within, found_of, nothing_within
from asng.search.run_state import RunState
from asng.search.scorer import Scorer, Scores
from asng.search.settling import Settling
from asng.search.trainer import Trainer
from asng.search.wiring import Told
from asng.training.objective import qualified_name
from asng.training.progress import Bar
from asng.training.signals import Interrupt

__all__ = ["Loop"]

_MOST_COORDINATES = 10_000
"""Most coordinates of a step's candidates that are logged. A thousand steps with more would fill a disk."""


class Loop:
    """Runs Algorithm 1 (Akimoto et al., 2019) step by step, then the final.

    Args:
        theta: The optimiser of theta.
        trainer: Trains the weights x.
        scorer: Scores architectures.
        final: The final, which follows the steps.
        state: The state of the run.
        lam_theta: Candidates scored per step.
        settling: Decides when theta moves.
        pace: Decides when a checkpoint is due.
        folder: The run folder, or None.
        comm: The processes of the run.
        seed: The seed of the run, for the log.
        callbacks: The user's callbacks.
        compiling: Compiles the operations of the supernet; None runs them uncompiled.
    """

    def __init__(
        self,
        *,
        theta: Optimizer,
        trainer: Trainer,
        scorer: Scorer,
        final: Final,
        state: RunState,
        lam_theta: int,
        settling: Settling,
        pace: CheckpointPace,
        folder: Path | None,
        comm: Comm,
        seed: int,
        callbacks: Callbacks | None = None,
        told: Told | None = None,
        compiling: Compiling | None = None,
    ) -> None:
        self.theta, self.trainer, self.scorer, self.final, self.state = theta, trainer, scorer, final, state
        self.lam_theta, self.settling = lam_theta, settling
        self.pace, self.folder, self.comm, self.seed = pace, folder, comm, seed
        self.callbacks = Callbacks() if callbacks is None else callbacks
        self.scores: Scores | None = None  # of the last step, if theta moved
        self.told = told or Told({}, {})
        self.compiling = compiling
        self.log = RunLog(None)

    @property
    def all_steps(self) -> int:
        """Training steps of the search and of all finalists."""
        return self.state.steps + self.final.all_steps

    @cached_property
    def _expected(self) -> str:
        return f"{self.scorer.name}: expected a finite number from {qualified_name(self.scorer.objective)}"

    # --- the steps ----------------------------------------------------------------------------------

    def one_step(self) -> tuple[float, float | None]:
        """Train weights, then move theta; return the training loss and the mean objective, if any."""
        loss, self.scores = self.train_weights(), None
        objective = self.move_theta() if self.settling.moves(self.state.step) else None
        self.state.step += 1
        self.settling.look(self.state.step)
        return loss, objective

    def train_weights(self) -> float:
        """Take one step in x, by the gradient of the mean loss of lambda_x draws; return that loss."""
        sampled = self.theta.ask(self.state.lam_x)
        with nullcontext() if self.compiling is None else self.compiling.step(self.state.step):
            loss = self.trainer.step([candidate.architecture for candidate in sampled])
        self.state.finite.trained(loss, self.state.step, self.trainer.explain)
        return loss

    def move_theta(self) -> float | None:
        """Take one step in theta, by the scores of lambda_theta draws; return their mean, if any."""
        state, scores = self.state, self.scorer.score(self.theta.ask(self.lam_theta))
        self.theta.tell(scores.candidates, scores.losses)
        told = [candidate.architecture for candidate in scores.candidates]
        self.callbacks.tell("theta", state.step, told, scores.losses)
        state.evaluated += len(scores.candidates)
        state.over_budget += len(scores.candidates) - len(scores.scored)
        state.finite.scored(scores.objectives, state.step, self._expected, self.scorer.explain)
        state.reason = state.watch.reason_to_stop(self.theta)
        self.scores = scores
        return sum(scores.objectives) / len(scores.objectives) if scores.objectives else None

    def run(self, bar: Bar, interrupt: Interrupt) -> Found:
        """Take all steps, unless the stop rule or a signal ends them early; return what was found."""
        with located(self._where):
            return self._run(bar, interrupt)

    def _where(self) -> str:
        state, final = self.state, self.final
        if state.step < state.steps and state.reason is None:
            return f"In the search, after {state.step} of {state.steps} steps.{self._kept()}"
        return f"In {final.where()}, after {state.step} steps of the search.{self._kept()}"

    def _kept(self) -> str:
        return (
            ""
            if self.folder is None
            else f" Fix it, and pass resume=True (--resume) to continue from {self.folder / CHECKPOINT}."
        )

    def _run(self, bar: Bar, interrupt: Interrupt) -> Found:
        state, final, clock = self.state, self.final, time.perf_counter()
        while state.step < state.steps and state.reason is None:
            loss, objective = self.one_step()
            if state.step & (state.step - 1) == 0:  # and before each checkpoint
                self.trainer.see_weights()
            clock = self._count_seconds(clock)
            self.log_step(loss, objective)
            self.callbacks.tell("step", state.step, loss, objective)
            if bar.shows:
                figures = {"objective": objective, "entropy": self.theta.entropy, "delta": self.theta.delta}
                bar.update(state.step, loss=loss, **figures)
            more = (state.reason is None and state.step < state.steps) or not final.over
            self.pause(interrupt, more)
        while not final.over:
            done = final.advance(state.step, moved=self.settling.moves(state.step - 1))
            self._log_final(done)
            if isinstance(done, list):
                self.callbacks.tell("final", done)
            clock = self._count_seconds(clock)
            bar.update(state.steps + final.steps_taken)
            self.pause(interrupt, not final.over)
        self._see_finite()
        return self._end()

    def _see_finite(self) -> None:
        """Raise if no value was ever finite: the finalists then cannot be ranked."""
        scores = [score for one in self.final.finalists for score in (one.shared, one.alone)]
        values = [score for score in scores if score is not None]
        if values and not self.state.finite.seen and not any(map(math.isfinite, values)):
            got = ", ".join(map(str, values))
            raise RunError(f"{self._expected}, got {got} for the finalists. {self.scorer.explain()}")

    def notes(self) -> tuple[str, ...]:
        """Return warnings about the choice of the best finalist: that all failed, or that all tie."""
        scored = [one for one in self.final.finalists if one.alone is not None]
        worths = [self.scorer.worth(one.alone or 0.0, one.architecture) for one in scored]
        if len(worths) < 2:
            return ()
        if not any(map(math.isfinite, worths)):
            return (
                f"The final is inconclusive: none of its {len(worths)} finalists has a finite value of "
                f"{qualified_name(self.scorer.objective)}. The found architecture was chosen by chance.",
            )
        if len(set(worths)) == 1:
            return (
                f"The final is inconclusive: all of its {len(worths)} finalists have the same value of "
                f"{qualified_name(self.scorer.objective)}, {scored[0].alone}. The found architecture was "
                "chosen by size. Select by something finer, such as the loss, or on more validation data.",
            )
        return ()

    def _count_seconds(self, since: float) -> float:
        now = time.perf_counter()
        self.state.seconds += now - since
        return now

    def pause(self, interrupt: Interrupt, more: bool) -> None:
        """Between two pieces of work, end if a signal came, or write a checkpoint if one is due.

        Args:
            interrupt: True if a signal came.
            more: Whether work is left.
        """
        flags = bool(interrupt), interrupt.terminated, self.pace.due()
        interrupted, terminated, due = self.comm.either(*flags, digest=self.state.digest)
        if interrupted:
            interrupt.hear(terminated=terminated)
            if more:
                self.save()  # before the last log line, which a resumed run removes
                self._log_end("interrupted", **self._cost_fields([]))
                raise interrupt.error()
        # Several processes save after each group of finalists, because none has the weights of all.
        if due or (self.comm.size > 1 and self.final.shared is not None and self.final.taken == 0):
            self.save()

    # --- begin, resume, end -------------------------------------------------------------------------

    def begin(self, checkpoint: dict[str, Any] | None, *, overwrite: bool) -> None:
        """Open the run folder: resume from its checkpoint, or start anew."""
        folder, state = self.folder, self.state
        self.callbacks.tell("begin", self)
        if folder is not None and checkpoint is not None:
            keep = state.load_state_dict(checkpoint, folder)
            self._open_log(folder, keep)
            self.comm.once(partial(remove_halves, folder))
        elif folder is not None and not overwrite:
            self.comm.once(partial(refuse_earlier_run, folder, SEARCH_FILES))
        if not state.ended:
            self.scorer.meter.prepare(sizes=not self.final.over)  # before any pass over the data begins
        if checkpoint is None:
            self.scorer.meter.check_budgets()
        if folder is not None and checkpoint is None:
            self._start(folder)
        elif folder is not None and not state.ended:
            self.comm.once(partial(note_resume, folder, step=state.step, passed_over=state.passed_over))

    def _start(self, folder: Path) -> None:
        """Clear the run folder and begin the log and the checkpoint of a new run."""
        self.comm.once(partial(remove_run, folder, SEARCH_FILES))
        self._open_log(folder, 0)
        self._log_start()
        self._log_theta()
        self.save()  # so that even a run killed in its first minute can be resumed

    def _open_log(self, folder: Path, keep: int) -> None:
        self.log = RunLog(folder / LOG if self.comm.leads else None, keep=keep)

    def save(self) -> None:
        """Write a checkpoint, unless its content is spread over several processes."""
        state = self.state
        if not self.final.savable:
            return
        self.trainer.see_weights()
        if self.final.shared is None:  # else each process has the weights of its own finalist
            self.comm.check(state.weights_digest, f"step {state.step}: the weights")
        if self.folder is not None:
            began, path, keep = time.perf_counter(), self.folder / CHECKPOINT, not state.passed_over
            held = state.state_dict(self.log.sync()) if self.comm.in_step else None
            self.comm.once(
                lambda: save_checkpoint(path, held or state.state_dict(self.log.sync()), keep=keep)
            )
            state.passed_over = ""
            self.pace.saved(took=time.perf_counter() - began)
            self.callbacks.tell("checkpoint", state.step, self.folder)

    def _end(self) -> Found:
        """Log why the run ended, and write the found architecture; calling it again does no harm."""
        state, meter, best = self.state, self.scorer.meter, self.final.found()
        state.reason = state.reason or "finished"
        found = best_within(meter, self.theta) if best is None else found_of(meter, best)
        while best is None and not state.ended and found.excess == 0.0:
            if meter.confirm(found.architecture):
                found = found_of(meter, found.architecture)
                break
            found = best_within(meter, self.theta)  # the remeasured latency is over budget: try the next
        if not state.ended:
            state.ended = True
            fields = {"too_large": state.memory.first, **self._cost_fields([found.cost])}
            fields["chance"] = self.final.chance
            fields["compiled"] = None if self.compiling is None else self.compiling.figures()
            self._log_end(state.reason, **fields)
            self.save()
        if found.excess > 0.0:
            raise nothing_within(meter.limits(), found.cost)
        if self.folder is not None and self.comm.leads:
            write_text(self.folder / ARCHITECTURE, found.architecture.to_json() + "\n")
        return found

    def close(self) -> None:
        """Close the log."""
        self.log.close()

    # --- the log ------------------------------------------------------------------------------------

    def _log_start(self) -> None:
        """Log the seed, settings, space, versions and machine of the run."""
        space = self.trainer.supernet.space
        event = StartEvent(
            time=time.strftime("%Y-%m-%dT%H:%M:%S%z"),
            seed=self.seed,
            steps=self.state.steps,
            lam_x=self.state.lam_x,
            settings=self.told.settings or None,
            defaults=self.told.defaults,
            space={name: variable.to_json() for name, variable in space.items()},
            n_theta=self.theta.n_theta,
            objective={"select": self.scorer.name, "function": qualified_name(self.scorer.objective)},
            final={"finalists": self.final.dealt.finalists, "steps": self.final.dealt.alone},
            costs=self.scorer.meter.limits() or None,
            versions=versions(),
            machine=machine(),
        )
        self.log.write(event)

    def log_step(self, loss: float, objective: float | None) -> None:
        """Log a step if it is due: about 1,000 lines per run, and theta about 150 times."""
        state = self.state
        every, every_theta = max(1, state.steps // 1000), max(1, state.steps // 150)
        last = state.step == state.steps or state.reason is not None
        if state.step % every == 0 or last:
            event = StepEvent(
                step=state.step,
                epoch=(state.step - 1) // len(self.trainer.stream),
                loss=loss,
                objective=objective,
                entropy=self.theta.entropy,
                delta=self.theta.delta,
                gamma=self.theta.gamma,
                seconds=round(state.seconds, 3),
                **self._score_fields(),
                **self._cost_fields([one.values for one in self.scores.costs] if self.scores else []),
            )
            self.log.write(event)
        if state.step % every_theta == 0 or last:
            self._log_theta()

    def _log_end(self, reason: str, **fields: Any) -> None:
        seconds = round(self.state.seconds, 3)
        self.log.write(EndEvent(step=self.state.step, reason=reason, seconds=seconds, **fields))

    def _log_theta(self) -> None:
        """Log the parameters of the distribution."""
        self.log.write(ThetaEvent.after(self.state.step, self.theta.theta.to_json()))

    def _log_final(self, done: Any) -> None:
        """Log the number of candidates that finalists are chosen from, or the scores of finalists."""
        if isinstance(done, int):
            batches = self.final.dealt.compared
            self.log.write(FinalistsEvent(step=self.state.step, compared=done, batches=batches))
        for finalist in done if isinstance(done, list) else ():
            event = FinalistEvent(
                number=self.final.finalists.index(finalist) + 1,
                road=finalist.road,
                architecture=dict(finalist.architecture),
                shared=finalist.shared,
                alone=finalist.alone,
                longer=finalist.longer,
                seconds=round(self.state.seconds, 3),
            )
            self.log.write(event)

    def _score_fields(self) -> dict[str, Any]:
        """Return the log fields on the candidates of a step, if theta moved."""
        if self.scores is None or len(self.scores.candidates) * len(self.theta.space) > _MOST_COORDINATES:
            return {}
        read = [
            (one, self.theta.space if one.active is None else one.active) for one in self.scores.candidates
        ]
        return {
            "losses": [loss if math.isfinite(loss) else None for loss in self.scores.losses],
            "candidates": [
                [_short(x) if name in active else None for name, x in zip(one.space, one.x, strict=True)]
                for one, active in read
            ],
        }

    def _cost_fields(self, costs: Sequence[Mapping[str, float]]) -> dict[str, Any]:
        """Return the log fields on costs, if there are any: means by name, and counts so far."""
        state = self.state
        missed = {"out_of_memory": state.memory.count} if state.memory.count else {}
        if not self.scorer.meter.terms:
            return missed
        names = costs[0] if costs else ()
        means = {name: sum(values[name] for values in costs) / len(costs) for name in names}
        counts = {"evaluated": state.evaluated, "over_budget": state.over_budget}
        return {"cost": means, **counts, **missed}


def _short(x: float) -> float:
    """Return a coordinate rounded for the log: six digits are more than a figure shows."""
    return float(f"{x:.6g}")
