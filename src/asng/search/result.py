"""The result of a search."""

from collections.abc import Callable
from dataclasses import dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

from torch import nn
from torch.utils.data import DataLoader

from asng.checks import as_path, one_of
from asng.distributed import whole
from asng.distributed.sharding import gathered
from asng.errors import InputError
from asng.nn import Inputs, Supernet
from asng.nn.inputs import calls_of
from asng.runs.events import Chance, Compiled, CostLimit
from asng.runs.files import make_folder, writes
from asng.runs.folder import LOG
from asng.runs.history import Log, read_log
from asng.search.finalists import Finalist
from asng.search.trainer import weights_of
from asng.shown import axes_or_new, dataframe, html_table, number
from asng.space import Architecture
from asng.training.batch_norm import recalibrate
from asng.training.child_file import save_child
from asng.training.data.nested import CountItems
from asng.training.data.random_state import staged
from asng.training.inputs import calls_in, example_inputs
from asng.training.metric import as_objective, is_whole
from asng.training.modes import kept_modes
from asng.training.objective import Loss, Objective
from asng.training.optimizers import MakeOptimizer, MakeScheduler, cosine, sgd

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from asng.pipeline import Retrained
    from asng.search.found import Found
    from asng.search.loop import Loop
    from asng.search.one_shot import OneShotSearch

__all__ = ["SearchResult", "result_of"]


@dataclass(repr=False)
class SearchResult:
    """The architecture that a search found, with its scores, its costs and its trained network.

    Attributes:
        architecture: The best finalist. Without a final, the most likely architecture at the end, or under a
            budget the most likely one found within it.
        supernet: The supernet with the shared weights at the end of the search.
        loss: The training loss of the search.
        train_loader: The training data of the search.
        steps: Number of steps taken, without those of finalists.
        seconds: Duration of the search, its final included.
        reason: Why the search ended: "finished", "entropy" or "patience".
        folder: The run folder, or None.
        cost: What the found architecture costs, by name of measure.
        limits: The budgets and penalties in numbers: `measure`, `kind`, `limit`, and `share` of `whole`.
        evaluated: Number of candidates compared by the steps in theta.
        over_budget: Number of these that were over a budget.
        finalists: The architectures trained alone, in the order in which they were chosen, with their scores;
            empty if there was no final.
        winner: The supernet's weights after the best finalist was trained alone; None if none was, or if
            the shared weights suit it better. Of sharded weights, those of this process.
        out_of_memory: Number of passes that did not fit into memory, passes that measure costs included. Such
            a candidate ranked worst; such a step of the weights was skipped.
        too_large: The first architecture that did not fit; None if all did.
        chance: How the found network scores beside the level of chance, after a final; None if that cannot
            be determined. `chance.near` says whether the score is close to that level.
        undefined_batches: Number of scores left out because the objective is not defined on the content of
            the batch, counted for each batch and architecture.
        notes: Warnings about the choice of the best finalist: that all tied, or that all failed.
        objective: The objective that architectures were selected by, if not the loss.
        valid_loader: The data on which architectures were scored.
        example: The example inputs given to the search.
        items: Returns the number of items in a batch; None if taken from the batch and its loader.
        seed: The seed of the search.
        higher_is_better: Whether a higher objective is better.
        optimizer: The function that made the optimiser of the search.
        clip: Maximum gradient norm of the search, or None.
        compiled: Cost and speed of compiled operations; None if none were compiled.
    """

    architecture: Architecture
    supernet: Supernet
    loss: Loss
    train_loader: DataLoader[Any]
    steps: int
    seconds: float
    reason: str
    folder: Path | None
    cost: dict[str, float]
    evaluated: int
    over_budget: int
    finalists: tuple[Finalist, ...] = ()
    limits: tuple[CostLimit, ...] = ()
    winner: dict[str, Any] | None = None
    out_of_memory: int = 0
    too_large: dict[str, Any] | None = None
    chance: Chance | None = None
    undefined_batches: int = 0
    notes: tuple[str, ...] = ()
    objective: Objective | None = None
    valid_loader: DataLoader[Any] | None = None
    example: Any = None
    items: CountItems | None = None
    seed: int = 0
    higher_is_better: bool = False
    optimizer: MakeOptimizer = sgd
    clip: float | None = 5.0
    compiled: Compiled | None = None
    _child: nn.Module | None = None

    def __repr__(self) -> str:
        return (
            f"SearchResult(architecture={dict(self.architecture)!r}, steps={self.steps}, "
            f"finalists={len(self.finalists)}, seconds={self.seconds:.1f}, reason={self.reason!r})"
        )

    def _repr_html_(self) -> str:
        cost = "".join(f", {name} {number(value)}" for name, value in self.cost.items())
        how = f"{self.steps:,} steps on shared weights, {len(self.finalists)} networks trained alone"
        title = f"Found in {self.seconds:.1f} s: {how}{cost}"
        return html_table(title, list(self.architecture.items()), header=["variable", "value"])

    @property
    def child(self) -> nn.Module:
        """The found network as a plain module in eval mode.

        It has the weights with which it scored better: those of its training alone in the final, or those
        inherited from the supernet. Without a final it always inherits. Its batch norms hold averages over
        training data of the search, drawn with the seed of the search. It is extracted on first access; if
        weights are sharded, all processes must access it together.
        """
        if self._child is None:
            self._child = self._extracted(self.winner)
        return self._child

    def inherited(self) -> nn.Module:
        """Return a new child like `child`, but with the weights that it inherits from the supernet."""
        return self._extracted(None)

    def retrain(
        self,
        train: DataLoader[Any],
        test: DataLoader[Any],
        *,
        epochs: int = 10,
        peers: int = 4,
        baseline: Callable[[], nn.Module] | None = None,
        make: Callable[[], nn.Module] | None = None,
        optimizer: MakeOptimizer | None = None,
        scheduler: MakeScheduler | None = cosine,
        resume: bool = False,
        progress: bool = True,
    ) -> "Retrained":
        """Train the found network from scratch, and random ones for comparison: is it better than chance?

        With a run folder, this writes result.json, child.pt and a report as `asng search` does, and saves the
        results after each network.

        Args:
            train: Training data, usually all that the search used.
            test: Data that the search has not seen, on which the networks are compared.
            epochs: Passes over `train`, at least 1.
            peers: Number of random networks from the space, at least 0.
            baseline: Returns a network of your own without searchable parts, trained like the others.
            make: Returns the model with its searchable layers as it was before the search. Default: a copy
                of it in which each layer draws new weights with its `reset_parameters`. Its buffers, and its
                attributes that are tensors or plain values, are as they were when the supernet was made.
            optimizer: Makes an optimiser from parameters. Default: that of the search.
            scheduler: Makes a schedule from (optimiser, total steps), or None. Default: half a cosine.
            resume: Continue an interrupted retraining in the run folder.
            progress: Show progress bars.

        Returns:
            `child`, the trained network; `found`, `baseline` and the tuple `peers`, each with `score`,
            `parameters` and `seconds`; the name of the score as `metric`, and `higher_is_better`.

        Raises:
            InputError: An argument is not as described, or a layer cannot draw new weights.
            RunError: The run folder is in use, or its retraining was begun with other arguments.

        Example:
            >>> import asng, torch
            >>> from torch.utils.data import DataLoader, TensorDataset
            >>> net = torch.nn.Sequential(asng.nn.Linear(4, asng.Integer(2, 8)), asng.nn.Linear(8, 1))
            >>> x = torch.randn(64, 4)
            >>> loader = DataLoader(TensorDataset(x, x.sum(dim=1, keepdim=True)), batch_size=8)
            >>> loss = asng.supervised(torch.nn.functional.mse_loss)
            >>> found = asng.OneShotSearch(asng.nn.Supernet(net), loss).fit(loader, epochs=1, progress=False)
            >>> alone = found.retrain(loader, loader, epochs=1, peers=2, progress=False)
            >>> len(alone.peers), alone.child(x).shape
            (2, torch.Size([64, 1]))
        """
        from asng.pipeline.found import retrain_found  # a package that imports this one

        return retrain_found(
            self,
            train,
            test,
            epochs=epochs,
            peers=peers,
            baseline=baseline,
            make=make,
            optimizer=optimizer,
            scheduler=scheduler,
            resume=resume,
            progress=progress,
        )

    def _extracted(self, weights: dict[str, Any] | None) -> nn.Module:
        loaders = [loader for loader in (self.train_loader, self.valid_loader) if loader is not None]
        supernet, weights = whole(self.supernet), gathered(weights)
        with staged(self.seed, "child", *loaders), kept_modes(supernet):
            supernet.eval()
            calls = self._calls(supernet)
            with weights_of(supernet, weights):
                child = supernet.extract(self.architecture, example=calls or None)
            supernet.train()  # the loss may read the mode, and is always called in training mode
            return recalibrate(child, self.train_loader, loss=self.loss, items=self.items)

    def _calls(self, supernet: Supernet) -> list[Inputs]:
        """Return the network's calls in the loss and the objective, which extraction takes as examples."""
        given = () if self.example is None else calls_of(supernet.model, self.example)
        found = example_inputs(supernet, self.architecture, self.loss, self.train_loader, needed=not given)
        if self.objective is not None and self.valid_loader is not None:
            batch = next(iter(self.valid_loader))
            # For a metric run the passes only: one batch may not be enough to compute it.
            function = self.objective.feed if is_whole(self.objective) else self.objective
            found += calls_in(supernet, self.architecture, function, batch, training=False)
        return found or list(given)

    def dataframe(self, table: str = "steps") -> Any:
        """Return a table of the search as a pandas DataFrame.

        Args:
            table: "steps" for the steps in the run folder's log: loss, objective, entropy and so on; or
                "finalists" for their values, how each was proposed, and its scores.

        Raises:
            InputError: There is no such table, or no run folder for the steps.
            RunError: The extra `notebook` is not installed, or the log cannot be read.
        """

        def steps() -> dict[str, Any]:
            log = self._log()
            return {part.name: getattr(log.steps, part.name) for part in fields(log.steps)}

        def finalists() -> dict[str, list[Any]]:
            own = ("road", "shared", "alone", "longer")
            values = {
                name: [f.architecture.get(name) for f in self.finalists] for name in self.supernet.space
            }
            return values | {name: [getattr(f, name) for f in self.finalists] for name in own}

        return dataframe({"steps": steps, "finalists": finalists}, table)

    def plot(self, figure: str | None = None, *, axes: "Axes | None" = None) -> "Axes":
        """Draw a figure of the search with matplotlib.

        Args:
            figure: "losses", "entropy" or "delta" over the steps in the run folder's log; or "finalists", the
                scores of the networks that were trained alone. Default: losses, or finalists if the search
                took no step on shared weights.
            axes: The axes to draw into. Default: those of a new figure.

        Returns:
            The axes, for titles and `axes.figure.savefig`.

        Raises:
            InputError: There is no such figure, no run folder for steps, or nothing to draw.
            RunError: The extra `notebook` is not installed, or the log cannot be read.
        """
        chosen = figure or ("losses" if self.steps else "finalists")
        one_of("figure", chosen, ["losses", "entropy", "delta", "finalists"])
        steps = None if chosen == "finalists" else self._log().steps
        if not (self.finalists if steps is None else len(steps)):
            other = "losses" if steps is None else "finalists"
            raise InputError(f"figure: expected a search that has {chosen}, got one without. Try {other!r}.")
        axes = axes_or_new(axes, (9.0, 4.0))
        from asng.report.figures import curves  # loads matplotlib

        if steps is None:
            curves.paint_finalists(axes, [(f.shared, f.alone, f.longer) for f in self.finalists])
        elif chosen == "losses":
            curves.paint_losses(axes, steps)
        else:
            (curves.paint_entropy if chosen == "entropy" else curves.paint_delta)(axes, steps)
        return axes

    def _log(self) -> Log:
        if self.folder is None:
            raise InputError(
                "run_dir: expected a search with a run folder, got one without. Give fit a run_dir."
            )
        return read_log(self.folder / LOG)

    def doubts(self) -> tuple[str, ...]:
        """Return the notes, plus a warning if the found network scores no better than chance."""
        chance = self.chance
        return self.notes if chance is None or not chance.near else (*self.notes, chance.words())

    def save(self, path: str | Path) -> Path:
        """Write the weights and architecture of the child to `path`; see `asng.training.save_child`.

        `asng.training.load_child` reads them back into a network. A missing folder is created.
        """
        path = as_path("path", path)
        with writes(path):
            make_folder(path.parent)
        return save_child(path, self.child, self.architecture)

    def report(self) -> Path:
        """Write `report.html` into the run folder, and return its path.

        Raises:
            InputError: The search had no run folder.
        """
        if self.folder is None:
            raise InputError("report: expected a search with a run_dir, got one without. Give fit a run_dir.")
        from asng.report import write_report  # loads matplotlib

        return write_report(self.folder)


def result_of(
    search: "OneShotSearch",
    loop: "Loop",
    found: "Found",
    folder: Path | None,
    loaders: tuple[DataLoader[Any], DataLoader[Any]],
) -> SearchResult:
    """Return the result of a search whose loop has ended."""
    name, (train_loader, valid_loader) = loop.scorer.name, loaders
    return SearchResult(
        architecture=found.architecture,
        supernet=search.supernet,
        loss=search.loss,
        train_loader=train_loader,
        steps=loop.state.step,
        seconds=loop.state.seconds,
        reason=loop.state.reason or "finished",
        folder=folder,
        cost=found.cost,
        evaluated=loop.state.evaluated,
        over_budget=loop.state.over_budget,
        finalists=tuple(loop.final.finalists),
        limits=loop.scorer.meter.limits(),
        winner=loop.final.winner,
        out_of_memory=loop.state.memory.count,
        too_large=loop.state.memory.first,
        chance=loop.final.chance,
        undefined_batches=loop.scorer.undefined,
        notes=loop.notes(),
        objective=None if name == "loss" else as_objective(getattr(search, name)),
        valid_loader=valid_loader,
        example=search.example,
        items=search.items,
        seed=search.seed,
        higher_is_better=search.maximize is not None,
        optimizer=search.optimizer,
        clip=search.clip,
        compiled=None if loop.compiling is None else loop.compiling.figures(),
    )
