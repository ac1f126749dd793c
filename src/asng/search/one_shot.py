"""One-shot search: train a supernet and the distribution over its architectures together."""

import math
import warnings
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from functools import cache, partial
from pathlib import Path
from typing import Any

from torch.utils.data import DataLoader

from asng.checks import (
    as_path,
    check_flags,
    integer_at_least,
    keep_integer,
    one_of,
    real_between,
    torch_seed,
)
from asng.costs.terms import Cost, checked_costs
from asng.distributed import Comm, joined
from asng.errors import InputError
from asng.nn import Supernet
from asng.nn.compiling import release_operations
from asng.optim import ASNG, Optimizer
from asng.options import MOST_FINAL, PRECISIONS, Precision
from asng.runs.checkpoint import CheckpointPace
from asng.search.arguments import check_loader, check_parts
from asng.search.callbacks import Callback, Callbacks
from asng.search.compiled import Compiling
from asng.search.final import Final
from asng.search.finalists import plan_of
from asng.search.loop import Loop
from asng.search.result import SearchResult, result_of
from asng.search.run_state import RunState, lam_x_of, load_shared, synchronise
from asng.search.scorer import Scorer
from asng.search.settling import EARLIEST, Settling
from asng.search.stopping import StopRule, Watch
from asng.search.trainer import Trainer
from asng.search.trial import try_first
from asng.search.wiring import (
    calls_in_training_only,
    example_of,
    in_step,
    in_the_precision,
    made,
    meter_of,
    selects,
    shared_settings,
    told_settings,
    window_of,
)
from asng.training.batch_norm import batch_statistics
from asng.training.data.halves import in_random_order, split_loader
from asng.training.data.nested import CountItems
from asng.training.data.random_state import seeded
from asng.training.data.stream import BatchStream
from asng.training.faults import OutOfMemory, dead_workers_told
from asng.training.inputs import make_whole
from asng.training.metric import MetricObjective
from asng.training.modes import Modes, kept_modes, learning
from asng.training.objective import Loss, Objective, warn_of_untrained
from asng.training.optimizers import MakeOptimizer, MakeScheduler, cosine, sgd
from asng.training.progress import progress_bar
from asng.training.signals import graceful

__all__ = ["OneShotSearch"]


@dataclass
class OneShotSearch:
    """Trains a supernet and its architecture distribution alternately, then the best candidates alone.

    Every step trains `lam_x` sampled architectures on one training batch. Once theta moves, each step also
    scores `lam_theta` sampled ones on one validation batch and takes a natural gradient step in theta. Theta
    moves in the second half of the steps, if the shared weights have settled on an order of architectures.

    The search ends with a final: it trains some architectures alone, each from the initial weights of the
    search, and returns the best. Finalists are chosen in rounds of four: first the mode of theta (if theta
    moved), the largest, and the most promising of some draws, then those from which a model expects most. The
    model uses all results so far, the size, and the scores on the shared weights as far as they agree with
    size. The final replaces steps of the search at equal cost. If a search is too short for useful shared
    weights, it consists of a final only.

    Differs from the paper: there both lambdas are 2, theta moves from the first step on, and the mode of
    theta is returned. When a search is worth its cost, and when not: docs/truth_tables.md.

    Args:
        supernet: The model to search. It is trained in place.
        loss: Training loss, a function of (forward, batch); see `asng.supervised`. Weights that it holds
            itself are not trained, and a warning names them.
        minimize: Select by the smallest value of this function of (forward, batch), or of this torchmetrics
            metric (see `asng.training.MetricObjective`). Default: the loss.
        maximize: Select by the largest value of this one instead. It needs no gradient.
        optimizer: Makes the optimiser of the weights from the parameters. Default: `sgd`.
        scheduler: Makes a schedule from (optimiser, total steps), stepped after each step; or None.
            Default: `cosine`.
        cost: What the architecture may cost: an `asng.Penalty` or `asng.Budget`, or a sequence of them.
            Default: anything.
        example: Model inputs on which costs are measured: one, a tuple of them, a mapping by name, or
            `asng.nn.Inputs`. Default: those of the first training batch, so that multiply-adds, memory and
            latency are of a whole batch.
        architecture_optimizer: Optimiser of theta. Default: `ASNG` with `lam_theta` and `seed`.
        lam_x: lambda_x, architectures trained per step, >= 1. Default 1.
        lam_theta: lambda_theta, architectures scored per step, >= 2. Default 2.
        warmup: Share of the steps, from the start, in which theta stays fixed, in [0, 1]. Default: half of
            them, or all of them if the order of architectures has not settled by then.
        final: Share of the cost kept for the final, in [0, 0.9]: 0 for none, as in the paper. A forward pass
            over a batch costs 1, a training pass 3. If this share cannot train `finalists` architectures for
            100 steps each, the final gets the whole cost. Default 0.7.
        finalists: Maximum number of architectures trained alone, >= 2. There are fewer, down to eight, if
            each would get less than 100 steps; fewer still if less than 10, and no final if even two would
            get less than 10. The best is then trained anew for twice as long, or the best two if there are
            more than eight finalists. If a search ends early, its final is shorter in proportion. Default 16.
        clip: Maximum gradient norm of the weights, or None. Default 5 (section 5.1).
        stop: When to end before the last step. Default: never.
        seed: Seed of theta's generator, and of torch's, Python's and NumPy's global ones during the search,
            in [0, 2**63).
        checkpoint_seconds: Interval between checkpoints in seconds, >= 0; 0: after every step. Checkpoints
            take at most 2 % of the time, so those of large networks are rarer. Default 60.
        checkpoint_steps: Also write a checkpoint after this many steps, >= 1. Default None: by time alone.
        precision: "float32", or "bfloat16" for passes under torch's autocast; weights keep their type.
            The child is kept and scored in its own precision. Default "float32".
        items: Returns the number of items in a batch, the weight of the batch in means over batches.
            Default: taken from the batch and its loader.
        compile: Compile operations of the supernet with `torch.compile` from step 17 on: the largest parts
            of several layers without anything searchable (see `asng.nn.compile_operations`). Outputs may
            differ in the last digits from those of the child, which is not compiled. `result.compiled`
            reports cost and speed. Default False.
        callbacks: Instances of subclasses of `asng.search.Callback`, in the order in which they are called.

    Raises:
        InputError: An argument is not as described, or both `minimize` and `maximize` are given.

    Example:
        Which activation suits a small regression:

        >>> import asng, torch
        >>> from torch.utils.data import DataLoader, TensorDataset
        >>> ops = {"tanh": torch.nn.Tanh(), "relu": torch.nn.ReLU()}
        >>> activation = asng.nn.Choice(ops, label="op")
        >>> net = torch.nn.Sequential(torch.nn.Linear(4, 8), activation, torch.nn.Linear(8, 1))
        >>> x = torch.randn(64, 4)
        >>> loader = DataLoader(TensorDataset(x, x.sum(dim=1, keepdim=True)), batch_size=8, shuffle=True)
        >>> loss = asng.supervised(torch.nn.functional.mse_loss)
        >>> search = OneShotSearch(asng.nn.Supernet(net), loss)
        >>> result = search.fit(loader, epochs=1, progress=False)
        >>> result.steps, result.architecture["op"] in ops, result.child(x).shape
        (4, True, torch.Size([64, 1]))
    """

    supernet: Supernet
    loss: Loss
    minimize: Objective | None = None
    maximize: Objective | None = None
    optimizer: MakeOptimizer = sgd
    scheduler: MakeScheduler | None = cosine
    cost: Cost | Sequence[Cost] = ()
    example: Any = None
    architecture_optimizer: Optimizer | None = None
    lam_x: int = 1
    lam_theta: int = 2
    warmup: float | None = None
    final: float = 0.7
    finalists: int = 16
    clip: float | None = 5.0
    stop: StopRule = field(default_factory=StopRule)
    seed: int = 0
    checkpoint_seconds: float = 60.0
    checkpoint_steps: int | None = None
    precision: Precision = "float32"
    items: CountItems | None = None
    compile: bool = False
    callbacks: Sequence[Callback] = ()

    def __post_init__(self) -> None:
        if not isinstance(self.supernet, Supernet):
            raise InputError(
                f"supernet: expected a Supernet, got {type(self.supernet).__name__}. "
                "Wrap the model: asng.nn.Supernet(model)."
            )
        if self.minimize is not None and self.maximize is not None:
            raise InputError("minimize, maximize: expected at most one of them, got both.")
        check_parts(self)
        check_flags(compile=self.compile)
        self.cost = checked_costs(self.cost)
        keep_integer(self, "lam_x", 1)
        keep_integer(self, "lam_theta", 2)
        if self.warmup is not None:
            real_between("warmup", self.warmup, 0.0, 1.0)
        real_between("final", self.final, 0.0, MOST_FINAL)
        keep_integer(self, "finalists", 2)
        self.seed = torch_seed("seed", self.seed)
        real_between("checkpoint_seconds", self.checkpoint_seconds, 0.0, math.inf)
        if self.checkpoint_steps is not None:
            keep_integer(self, "checkpoint_steps", 1)
        one_of("precision", self.precision, PRECISIONS)
        if self.clip is not None:
            real_between("clip", self.clip, 0.0, math.inf, open_low=True)
        if self.architecture_optimizer is None:
            # Weights improve and batches differ: losses of different steps are not comparable.
            fixed: dict[str, Any] = {"reuse": False, "covariance": False, "spread": 0.5}
            self.architecture_optimizer = ASNG(
                self.supernet.space, lam=self.lam_theta, seed=self.seed, **fixed
            )
        elif self.architecture_optimizer.space != self.supernet.space:
            raise InputError("architecture_optimizer: expected one over supernet.space, got another space.")

    def fit(
        self,
        train_loader: DataLoader[Any],
        valid_loader: DataLoader[Any] | None = None,
        *,
        epochs: int = 30,
        run_dir: str | Path | None = None,
        resume: bool = False,
        overwrite: bool = False,
        progress: bool = True,
        check: bool = True,
    ) -> SearchResult:
        """Run the search and return its result.

        A second call continues from the weights and theta of the first. For an independent search, create
        everything anew, the supernet included.

        Args:
            train_loader: Training data for the weights.
            valid_loader: Data on which architectures are scored. Default: a random half of the training data,
                held out; the sampler of the train_loader must then draw each item once.
            epochs: Number of passes over the training data, >= 1. A final replaces some of these steps, at
                the same cost.
            run_dir: Folder for log, checkpoint and the found architecture. Default: write nothing.
            resume: Continue from the checkpoint in `run_dir`; start anew if the run was killed before its
                first.
            overwrite: Replace an earlier run in `run_dir`.
            progress: Show a progress bar, and warn at the end if the found network scores close to chance.
            check: Before step 1, run loss and objective on a batch of each loader, extract the largest, the
                smallest and perhaps two random children, and check that their outputs equal the supernet's.

        Returns:
            The found architecture, and how it was found.

        Raises:
            InputError: An argument is wrong, a child's output differs, or nothing is within a budget.
            RunError: `run_dir` already contains a run or has no checkpoint to resume; no loss or objective is
                finite; no likely architecture is within the budget; a worker was killed; the disk is full.
            KeyboardInterrupt: After Ctrl-C; after SIGTERM its subclass `asng.training.signals.Terminated`,
                which ends the process with exit status 143 unless caught. A checkpoint was written.
        """
        check_flags(resume=resume, overwrite=overwrite, progress=progress, check=check)
        epochs = integer_at_least("epochs", epochs, 1)
        folder = None if run_dir is None else as_path("run_dir", run_dir)
        check_loader("train_loader", train_loader)
        if valid_loader is None:
            train_loader, valid_loader = split_loader(train_loader, seed=self.seed)
        else:
            check_loader("valid_loader", valid_loader)
            valid_loader = in_random_order(valid_loader, seed=self.seed)
        warn_of_untrained(self.loss, self.supernet)
        running = self._running(train_loader, valid_loader, epochs, folder, resume)
        with ExitStack() as at_last:
            with graceful() as interrupt, running as (loop, checkpoint):
                at_last.callback(loop.callbacks.tell, "close")
                if check and checkpoint is None and not loop.comm.in_step:
                    try_first(loop.trainer, loop.scorer)
                try:
                    loop.begin(checkpoint, overwrite=overwrite or resume)
                    with progress_bar("search", loop.all_steps, show=progress and loop.comm.leads) as bar:
                        found = loop.run(bar, interrupt)
                except BaseException:
                    at_last.close()  # a callback's timer must not fire while waiting for other processes
                    raise
                finally:
                    loop.close()
                interrupted, terminated = loop.comm.either(bool(interrupt), interrupt.terminated)
                if interrupted:  # in the last step or later: all is written, but the caller must end too
                    interrupt.hear(terminated=terminated)
                    raise interrupt.error()
            result = result_of(self, loop, found, folder, (train_loader, valid_loader))
            for doubt in result.doubts() if progress else result.notes:
                warnings.warn(doubt, stacklevel=2)
            loop.callbacks.tell("end", result)
            return result

    @contextmanager
    def stepping(
        self, train_loader: DataLoader[Any], valid_loader: DataLoader[Any], *, epochs: int = 30
    ) -> Iterator[Loop]:
        """Yield the search loop, to take its steps one at a time with `one_step`; writes nothing.

        Args:
            train_loader: Training data for the weights.
            valid_loader: Data on which architectures are scored.
            epochs: Planned passes over the training data, for the schedule and the warm-up.

        Yields:
            The loop, whose parts are `theta`, `trainer`, `scorer` and `state`.

        Example:
            >>> import asng, torch
            >>> from torch.utils.data import DataLoader, TensorDataset
            >>> ops = {"a": torch.nn.Linear(2, 1), "b": torch.nn.Linear(2, 1)}
            >>> op = asng.nn.Choice(ops, label="op")
            >>> x = torch.randn(64, 2)
            >>> loader = DataLoader(TensorDataset(x, x.sum(dim=1, keepdim=True)), batch_size=8)
            >>> loss = asng.supervised(torch.nn.functional.mse_loss)
            >>> with OneShotSearch(asng.nn.Supernet(op), loss, warmup=0.0).stepping(loader, loader) as loop:
            ...     losses = [loop.one_step() for _ in range(3)]
            >>> loop.state.step
            3
        """
        with self._running(train_loader, valid_loader, epochs, None, False) as (loop, _):
            yield loop

    @contextmanager
    def _running(
        self,
        train_loader: DataLoader[Any],
        valid_loader: DataLoader[Any],
        epochs: int,
        folder: Path | None,
        resume: bool,
    ) -> Iterator[tuple[Loop, dict[str, Any] | None]]:
        """Set up the processes, seeds and modes that a run needs, build its parts, and restore all after."""
        with (
            joined() as processes,
            seeded(self.seed),
            kept_modes(self.supernet),
            learning(),
            dead_workers_told(),
        ):
            comm = in_step(processes, self)
            train = BatchStream(train_loader, "train_loader")
            valid = BatchStream(valid_loader, "valid_loader")
            make_whole(self.supernet, self.loss, train.first)
            try:
                with batch_statistics(self.supernet) as norms:
                    yield self._wired(
                        train, valid, epochs=epochs, folder=folder, resume=resume, norms=norms, comm=comm
                    )
            finally:
                if self.compile:
                    release_operations(self.supernet)
                train.close()
                valid.close()

    def _wired(
        self,
        train: BatchStream,
        valid: BatchStream,
        *,
        epochs: int,
        folder: Path | None,
        resume: bool,
        norms: list[Any],
        comm: Comm,
    ) -> tuple[Loop, dict[str, Any] | None]:
        """Return the loop with all its parts, and the checkpoint from which it resumes, if any."""
        if resume and folder is None:
            raise InputError("resume: expected a run_dir to resume from, got None.")
        checkpoint = load_shared(comm, folder) if folder is not None and resume else None
        theta, name = made(self.architecture_optimizer), selects(self)
        lam_x = -(-self.lam_x // comm.size) * comm.size  # rounded up: equally many in each process
        if checkpoint is not None:  # it may come from another number of processes
            lam_x = lam_x_of(checkpoint, lam_x)
        computing = partial(in_the_precision, precision=self.precision, supernet=self.supernet)
        window, objective = window_of(getattr(self, name)), computing(getattr(self, name))
        plan = plan_of(
            epochs * len(train),
            share=self.final,
            finalists=self.finalists,
            lam_x=lam_x,
            warmup=self.warmup,
            lam_theta=self.lam_theta * min(window, len(valid)),
            valid_batches=len(valid),
            whole=isinstance(objective, MetricObjective),
        )
        first, loss, callbacks = cache(train.first), computing(self.loss), Callbacks(self.callbacks)
        shared: dict[str, Any] = {"modes": Modes(self.supernet, norms), "memory": OutOfMemory(), "comm": comm}
        example = partial(example_of, self.supernet, self.example, loss, first)
        trainer = Trainer(
            self.supernet,
            loss,
            stream=train,
            optimizer=self.optimizer,
            scheduler=self.scheduler,
            clip=self.clip,
            callbacks=callbacks,
            **shared,
        )
        trainer.begin(max(1, plan.steps))
        scorer = Scorer(
            self.supernet,
            objective,
            name=name,
            sign=1.0 if self.maximize is None else -1.0,
            stream=valid,
            meter=meter_of(self, example, comm, shared["memory"], final=plan.cost > 0.0),
            device=trainer.device,
            items=self.items,
            **shared,
        )
        settings = {"epochs": epochs, "seed": self.seed, "lam_x": self.lam_x, "lam_theta": self.lam_theta}
        synchronise(comm, theta, trainer, scorer, settings)
        if name == "loss":
            scorer.as_training = calls_in_training_only(self.supernet, loss, first, comm)
        # Without a final the result comes from theta, so theta moves even if the order has not settled.
        warmup = EARLIEST if self.warmup is None and not plan.cost else self.warmup
        settling = Settling(scorer, steps=plan.steps, warmup=warmup, batches=plan.looked, seed=self.seed)
        final = Final(
            plan,
            finalists=self.finalists,
            theta=theta,
            trainer=trainer,
            scorer=scorer,
            seed=self.seed,
            comm=comm,
        )
        state = RunState(
            theta=theta,
            trainer=trainer,
            scorer=scorer,
            final=final,
            settling=settling,
            watch=Watch(self.stop),
            memory=shared["memory"],
            callbacks=callbacks,
            settings=shared_settings(self, trainer, epochs),
            lam_x=lam_x,
        )
        loop = Loop(
            theta=theta,
            trainer=trainer,
            scorer=scorer,
            final=final,
            state=state,
            lam_theta=self.lam_theta,
            settling=settling,
            pace=CheckpointPace(self.checkpoint_seconds, self.checkpoint_steps),
            folder=folder,
            comm=comm,
            seed=self.seed,
            callbacks=callbacks,
            told=told_settings(self, epochs=(epochs, 30)),
            compiling=Compiling(self.supernet) if self.compile else None,
        )
        return loop, checkpoint
