"""`asng.minimize`: the quickest way to optimise a function."""

import inspect
import json
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Executor
from contextlib import closing, suppress
from os import PathLike
from pathlib import Path
from typing import Any, Literal

from asng.black_box.asynchronous import AsynchronousLoop
from asng.black_box.cache import Cache
from asng.black_box.calling import Expecting, Function
from asng.black_box.front import Front
from asng.black_box.given import SETTINGS, checked_given
from asng.black_box.loop import MinimizeLoop
from asng.black_box.measured import Measured
from asng.black_box.replay import Record, RecordReader
from asng.black_box.reporting import Curves, MedianRule
from asng.black_box.result import Callback, MinimizeResult, best_of
from asng.black_box.stopping import MinimizeStopRule
from asng.black_box.strategy import default_optimizer
from asng.black_box.workers import calls_at_a_time, check_workers, workers_of
from asng.checks import as_path, check_flags, integer_at_least, one_of
from asng.errors import InputError, RunError
from asng.optim import Optimizer
from asng.runs.environment import machine, versions
from asng.runs.events import EndEvent, StartEvent
from asng.runs.files import write_text
from asng.runs.folder import (
    ARCHITECTURE,
    BLACK_BOX_FILES,
    LOG,
    note_resume,
    refuse_earlier_run,
    remove_halves,
    remove_run,
)
from asng.runs.log import RunLog
from asng.space import Space
from asng.space.variables import Value

__all__ = ["minimize"]


def minimize(
    f: Function,
    space: Space,
    budget: int,
    *,
    seed: int = 0,
    optimizer: Optimizer | None = None,
    start: Sequence[Mapping[str, Value]] = (),
    known: Sequence[tuple[Mapping[str, Value], float | Mapping[str, float] | Measured]] = (),
    objectives: Sequence[str] = (),
    noisy: bool = False,
    activity: bool = True,
    workers: int | Executor = 1,
    asynchronous: bool = False,
    call_seconds: float | None = None,
    stop: MinimizeStopRule | None = None,
    early_stop: MedianRule | None = None,
    callbacks: Sequence[Callback] = (),
    on_error: Literal["raise", "worst"] = "raise",
    run_dir: str | PathLike[str] | None = None,
    resume: bool = False,
    overwrite: bool = False,
) -> MinimizeResult:
    """Minimise a black-box function of an architecture, without gradients and with nothing to tune.

    The search watches which variables f reads; f need not declare them. It remembers each loss by the values
    that were read, and pays for nothing twice: if the optimiser draws them again, it is told from memory. A
    variable that a call did not read gets no credit for its loss.

    The same seed gives the same search, bit for bit, whatever the number of workers, and whether or not it
    was interrupted. An asynchronous search keeps its workers busy instead, and can be repeated bit for bit
    from its log.

    Args:
        f: Takes an `Architecture`, a mapping from names to values, and returns its loss: lower is better. To
            maximise, return the negative. NaN and infinities rank worst. With constraints it returns an
            `asng.black_box.Measured`.
        space: The search space.
        budget: Maximum number of calls of f, >= 1. Remembered losses are free.
        seed: Seed of the default optimiser, >= 0.
        optimizer: Any `Optimizer` over the space. Default: `asng.optim.StagedConstrained(space,
            budget=budget, seed=seed)`; with several objectives `asng.optim.StagedFront`.
        start: Architectures to evaluate first, such as the settings in use now.
        known: Architectures and their losses from elsewhere, in the order of the search that found them. They
            cost nothing, and the best of them may be the result.
        objectives: Names of two to four losses, which f returns by name; then the result has a `front`.
            Default: f returns one loss.
        noisy: Whether repeated calls of f return different losses. If so, nothing is remembered, and every
            draw costs a call.
        activity: Watch which variables f reads. Switch it off if f gets values by other means than the
            mapping; then losses are remembered by whole architectures.
        workers: Number of calls of f at a time, >= 1. If it is more than 1, calls run in that many processes:
            define f at the top level of a module, and guard a script by `if __name__ == "__main__":`. Or an
            executor of `concurrent.futures`, for instance a `ThreadPoolExecutor`, or one of Dask, loky, MPI
            or Ray; it is left open.
        asynchronous: Tell the optimiser of each call as it comes back, and start another one. No worker waits
            for the slowest of a generation, but the search depends on the order in which calls finish.
            Default: whole generations.
        call_seconds: A call that takes longer than this, > 0, is ended and counts as failed. Calls then run
            in other processes, even with one worker. Default: no time limit.
        stop: When to end before the budget is spent. Default: when there is nothing new to find.
        early_stop: When to end a call that reports its progress by `asng.black_box.report_step`. Default:
            never.
        callbacks: Each is called with a `Progress` after every generation; one that returns True ends the
            search.
        on_error: "raise" ends the search if a call fails: f raises, returns no number, takes too long or
            kills its process. "worst" ranks the architecture worst and remembers the error.
        run_dir: Folder for the log, the result and the report. Default: write nothing.
        resume: Continue the search in `run_dir`; with a larger budget even one that has ended. No call is
            paid for again, and none is dropped: a smaller budget than the calls made is refused, and a
            stricter `stop` ends the search after them. In an empty folder, start a new search.
        overwrite: Replace an earlier search in `run_dir`.

    Returns:
        The best architecture, the most likely one, the history, and why the search ended.

    Raises:
        InputError: An argument is not as described; nothing was written.
        MinimizeError: A call failed; the `result` of the error holds what was found before. So does that of
            any other exception during the search, including KeyboardInterrupt.
        RunError: No worker process starts, `run_dir` already contains a run, or the run to resume is a
            different one or has made more calls than the budget.

    Example:
        >>> from asng.space import Categorical, Integer
        >>> space = Space({"kernel": Categorical(["linear", "poly", "rbf"]), "degree": Integer(1, 9)})
        >>> def loss(a):
        ...     return abs(a["degree"] - 4) if a["kernel"] == "poly" else 3.0
        >>> result = minimize(loss, space, 100)
        >>> result.architecture, result.loss, result.evaluated <= 11
        (Architecture({'kernel': 'poly', 'degree': 4}), 0.0, True)
    """
    flags = {"noisy": noisy, "activity": activity, "asynchronous": asynchronous}
    _check(f, space, callbacks, stop, flags)
    one_of("on_error", on_error, ["raise", "worst"])
    budget, seed = integer_at_least("budget", budget, 1), integer_at_least("seed", seed, 0)
    given = checked_given(space, start=start, known=known, objectives=objectives, early_stop=early_stop)
    if given.objectives:
        f = Expecting(f, given.objectives)
    content = check_workers(workers, f, call_seconds)
    n = calls_at_a_time(workers) if asynchronous else 1
    if optimizer is not None and (not isinstance(optimizer, Optimizer) or optimizer.space != space):
        raise InputError(f"optimizer: expected an optimiser over the space, got {optimizer!r}.")
    losses = max(1, len(given.objectives))
    if optimizer is not None and optimizer.numbers_each not in (1, losses + 1):
        fit = ("one loss", "StagedConstrained")
        if losses > 1:
            fit = (f"{losses} losses", f"StagedFront with objectives={losses}")
        raise InputError(
            f"optimizer: expected one for {fit[0]}, got {optimizer!r}, which is told "
            f"{optimizer.numbers_each - 1}. Leave it out, or pass an asng.optim.{fit[1]}."
        )
    folder = None if run_dir is None else as_path("run_dir", run_dir)
    _make_free(folder, resume=resume, overwrite=overwrite)
    logged = RecordReader(folder or Path(), space)
    log = RunLog(None if folder is None else folder / LOG, logged.take)
    try:
        if folder is not None:
            remove_halves(folder)
        if optimizer is None:
            optimizer = default_optimizer(
                space,
                budget=budget,
                seed=seed,
                noisy=noisy,
                objectives=losses,
                logged=logged,
            )
        record = _begin(log, logged, folder, optimizer, budget, flags | given.settings())
        calls = workers_of(workers, f, content, activity=activity, call_seconds=call_seconds)
        with closing(calls):
            loop = MinimizeLoop(
                optimizer=optimizer,
                budget=budget,
                workers=calls,
                cache=Cache(space, noisy=noisy, watched=activity),
                curves=Curves(given.early_stop),
                stop=stop or MinimizeStopRule(),
                callbacks=callbacks,
                start=given.start,
                front=Front(given.objectives) if given.objectives else None,
                fail=on_error == "raise",
                log=log,
                record=record,
            )
            loop.know(given.known)
            run = AsynchronousLoop(loop, n).run if asynchronous else loop.run
            reason = _run(loop, run, folder)
        return _end(loop, reason, folder)
    finally:
        log.close()


def _check(
    f: object,
    space: object,
    callbacks: object,
    stop: object,
    flags: Mapping[str, object],
) -> None:
    if not callable(f):
        raise InputError(f"f: expected a function of an architecture, got {f!r}.")
    if not isinstance(space, Space):
        raise InputError(f"space: expected an asng.Space, got {space!r}.")
    check_flags(**flags)
    if not isinstance(callbacks, (list, tuple)) or not all(callable(one) for one in callbacks):
        raise InputError(f"callbacks: expected a list of functions of a Progress, got {callbacks!r}.")
    if stop is not None and not isinstance(stop, MinimizeStopRule):
        raise InputError(f"stop: expected an asng.black_box.MinimizeStopRule, got {stop!r}.")


def _make_free(folder: Path | None, *, resume: bool, overwrite: bool) -> None:
    """Prepare the run folder for writing: refuse, keep or remove an earlier run."""
    if folder is None:
        if resume or overwrite:
            raise InputError("resume, overwrite: expected a run_dir with them, got none.")
        return
    if resume and overwrite:
        raise InputError("resume, overwrite: expected at most one of them, got both.")
    if overwrite:
        remove_run(folder, BLACK_BOX_FILES, alone=True)
    elif not resume:
        refuse_earlier_run(folder)


def _begin(
    log: RunLog,
    logged: RecordReader,
    folder: Path | None,
    optimizer: Optimizer,
    budget: int,
    settings: dict[str, Any],
) -> Record:
    """Log the start of a new search, or restore a logged one; return the record to repeat."""
    if folder is not None and logged.seen:
        record = logged.record()
        if budget < len(record.calls):
            raise RunError(
                f"budget: expected at least {len(record.calls)}, the calls of f that the run in {folder} "
                f"has made, got {budget}. Pass budget={len(record.calls)} to keep its result, or a larger "
                "one to continue."
            )
        _resume(record, folder, optimizer, settings)
        note_resume(folder, step=max([0, *record.seconds]), budget=budget)
        return record
    start = StartEvent(
        kind="minimize",
        time=time.strftime("%Y-%m-%d %H:%M:%S"),
        budget=budget,
        settings=settings,
        defaults=_defaults(settings),
        space=json.loads(optimizer.space.to_json()),
        n_theta=optimizer.n_theta,
        optimizer=optimizer.state_dict(),
        versions=versions(),
        machine=machine(),
    )
    log.write(start)
    return Record()


def _defaults(settings: dict[str, Any]) -> dict[str, Any]:
    """Return the defaults of the arguments that differ from them."""
    usual = {name: one.default for name, one in inspect.signature(minimize).parameters.items()}
    plain = {name: list(value) if isinstance(value, tuple) else value for name, value in usual.items()}
    return {name: plain[name] for name, value in settings.items() if value != plain[name]}


def _resume(record: Record, folder: Path, optimizer: Optimizer, settings: dict[str, Any]) -> None:
    """Restore the optimiser to the state in which the search began.

    Raises:
        RunError: The optimiser is a different one, or the search had other settings.
    """
    before = dict(record.start.settings or {})
    for name in [
        *settings,
        *(name for name in SETTINGS if name in before),
    ]:
        usual: Any = [] if name in SETTINGS else False
        value, logged = (of.get(name) or usual for of in (settings, before))
        if logged != value:
            raise RunError(
                f"{folder}: expected a search with {name}={value!r:.99}, got one with {name}={logged!r:.99}. "
                "Resume it with the same."
            )
    begun = record.start.optimizer
    if begun is None:
        raise RunError(
            f"{folder}: expected the state of an optimiser in the first line of log.jsonl, got none."
        )
    if optimizer.generation == 0 and begun != json.loads(json.dumps(optimizer.state_dict())):
        raise RunError(
            f"{folder}: expected a search that was started with this optimiser, got one with other settings "
            "or another seed. Resume it with its own optimiser."
        )
    optimizer.load_state_dict(begun)


def _run(loop: MinimizeLoop, run: Callable[[], str], folder: Path | None) -> str:
    """Run the search and return why it ended; any exception gets the result so far."""
    try:
        return run()
    except BaseException as error:
        loop.end_early()
        found = _result(loop, "error", folder) if loop.history else None
        with suppress(AttributeError):  # a frozen exception takes none
            error.result = found  # type: ignore[attr-defined]
        raise


def _end(loop: MinimizeLoop, reason: str, folder: Path | None) -> MinimizeResult:
    optimizer, result = loop.optimizer, _result(loop, reason, folder)
    if folder is not None:
        write_text(folder / ARCHITECTURE, result.architecture.to_json() + "\n")
    loop.log_theta()
    before, ended = loop.record.end, (reason, optimizer.generation, loop.evaluated)
    if before is None or (before.reason, before.step, before.evaluated) != ended:  # else it ended so before
        end = EndEvent(
            reason=reason,
            step=optimizer.generation,
            evaluated=loop.evaluated,
            most_likely=dict(optimizer.best),
            seconds=round(loop.seconds, 3),
        )
        loop.log.write(end)
    return result


def _result(loop: MinimizeLoop, reason: str, folder: Path | None) -> MinimizeResult:
    best, optimizer = loop.best or best_of(loop.history), loop.optimizer
    return MinimizeResult(
        architecture=best.architecture,
        loss=best.loss,
        most_likely=optimizer.best,
        history=tuple(loop.history),
        evaluated=loop.evaluated,
        generations=optimizer.generation,
        reason=reason,
        seconds=loop.seconds,
        folder=folder,
        space=optimizer.space,
        settled=loop.path.shares(),
        front=() if loop.front is None else loop.front.members,
    )
