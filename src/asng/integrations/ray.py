"""asng inside Ray: a search algorithm for Tune, and an executor whose calls are Ray tasks.

Tune asks a searcher in one process, however many machines run its suggestions. The search is therefore a
single optimiser, that of `asng.minimize`, which is told of trials as they end and knows which are running.
"""

import copy
import json
import math
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Executor, Future
from pathlib import Path
from typing import Any

from asng.checks import check_flags, integer_at_least, one_of
from asng.errors import InputError, RunError
from asng.optim import Staged
from asng.runs.files import write_text
from asng.space import Architecture, Candidate, Categorical, Integer, Real, Space, Variable

try:
    import ray
    from ray.tune.result import DEFAULT_METRIC
    from ray.tune.search import UNDEFINED_SEARCH_SPACE, Searcher
    from ray.tune.search import sample as domains
    from ray.tune.search.variant_generator import assign_value, parse_spec_vars
except ImportError as error:
    raise ImportError(
        f"asng.integrations.ray: expected the library ray with tune, got: {error}. Install it: "
        "pip install 'asng[ray]'."
    ) from error

__all__ = ["ASNGSearch", "RayExecutor"]

FEW = 1000
"""Up to this many trials, a search of reals uses a model."""

_AGAIN = 8
"""Attempts to replace a draw that was tried before; if all were, there is nothing new."""

_FORMAT = 1
_ROUNDING = 1e-9


class ASNGSearch(Searcher):
    """Suggests trials to Tune as `asng.minimize` searches.

    The space consists of Tune's own domains, `choice`, `uniform`, `loguniform`, `randint` and so on, at any
    depth of the config; or it is an `asng.Space`, whose variables may have conditions. A trial that a
    scheduler ended counts by its last result, a failed one as worst, and one without a result not at all.

    Args:
        space: The search space; the config then has its values by name. Default: the domains in the
            `param_space` of the Tuner.
        metric: Name of the result to optimise. Default: that of the `TuneConfig`, which Tune passes on only
            if there is a `param_space`.
        mode: "min" or "max". Default: likewise.
        seed: Seed of the search, >= 0.
        n_trials: Number of trials, >= 1, if it is known. With more than 1000, a space of which at least half
            are reals is searched without a model. Default: fewer.
        noisy: Whether trials of the same config have different results.

    Raises:
        InputError: An argument is not as described, or a domain has no fixed range.

    Example:
        >>> from ray import tune
        >>> search = ASNGSearch(metric="loss", mode="min")
        >>> config = {"rate": tune.loguniform(1e-4, 1.0), "net": {"depth": tune.randint(1, 9)}, "epochs": 5}
        >>> search.set_search_properties(None, None, config)
        True
        >>> suggested = search.suggest("trial 1")
        >>> suggested["epochs"], 1 <= suggested["net"]["depth"] < 9
        (5, True)
        >>> search.on_trial_complete("trial 1", {"loss": 0.3})
    """

    def __init__(
        self,
        space: Space | None = None,
        *,
        metric: str | None = None,
        mode: str | None = None,
        seed: int = 0,
        n_trials: int | None = None,
        noisy: bool = False,
    ) -> None:
        if space is not None and not isinstance(space, Space):
            raise InputError(f"space: expected an asng.Space, or none and a param_space, got {space!r:.80}.")
        if mode is not None:
            one_of("mode", mode, ["min", "max"])
        if metric is not None and not isinstance(metric, str):
            raise InputError(f"metric: expected the name of one result, got {metric!r}.")
        check_flags(noisy=noisy)
        super().__init__(metric=metric, mode=mode)
        self._metric, self._mode = metric, mode
        self._seed = integer_at_least("seed", seed, 0)
        self._budget = FEW if n_trials is None else integer_at_least("n_trials", n_trials, 1)
        self._noisy = noisy
        self._config: dict[str, Any] | None = None
        self._domains: dict[str, tuple[tuple[Any, ...], Any]] = {}
        self._optimizer: Staged | None = None
        self._under_way: dict[str, Candidate] = {}
        self._tried: set[str] = set()
        self._saved: dict[str, Any] | None = None
        if space is not None:
            self._begin(space)

    def set_search_properties(
        self, metric: str | None, mode: str | None, config: dict[str, Any], **spec: Any
    ) -> bool:
        """Take the `TuneConfig` and the `param_space`; return False if there are both a space and domains."""
        self._metric, self._mode = metric or self._metric, mode or self._mode
        if self._metric is None and self._mode is not None:
            self._metric = DEFAULT_METRIC
        _, found, grids = parse_spec_vars(config)
        if grids:
            raise InputError(
                "param_space: expected domains such as tune.choice, got a grid search of "
                f"{_name(grids[0][0])}. A search chooses by itself what to try."
            )
        if self._optimizer is not None:
            return not found
        if not found:
            raise InputError("param_space: expected at least one domain such as tune.uniform, got none.")
        self._config = config
        self._domains = {_name(path): (path, domain) for path, domain in found}
        if len(self._domains) < len(found):
            names = [_name(path) for path, _ in found]
            double = next(name for name in names if names.count(name) > 1)
            raise InputError(f"param_space: expected different names of domains, got {double!r} twice.")
        self._begin(Space({name: _variable(name, domain) for name, (_, domain) in self._domains.items()}))
        return True

    def suggest(self, trial_id: str) -> dict[str, Any] | None:
        """Return the config of a trial."""
        optimizer = self._optimizer
        if optimizer is None:
            raise RuntimeError(UNDEFINED_SEARCH_SPACE.format(cls=type(self).__name__, space="space"))
        if self._metric is None or self._mode is None:
            # Without a param_space Tune does not tell a searcher what its TuneConfig has.
            raise InputError(
                f"metric, mode: expected a name and 'min' or 'max', got {self._metric!r} and {self._mode!r}. "
                "Pass both to ASNGSearch if it has the space."
            )
        candidate = self._drawn(optimizer)
        if not self._noisy and optimizer.delta == 0.0:  # while there is a model, a trial is tried once
            for _ in range(_AGAIN):
                if candidate.architecture.to_json() not in self._tried:
                    break
                candidate = self._drawn(optimizer)
        self._tried.add(candidate.architecture.to_json())
        self._under_way[trial_id] = candidate
        return self._config_of(candidate.architecture)

    def on_trial_complete(
        self, trial_id: str, result: Mapping[str, Any] | None = None, error: bool = False
    ) -> None:
        """Learn from a trial that has ended."""
        candidate = self._under_way.pop(trial_id, None)
        if candidate is None or self._optimizer is None:
            return
        if error:
            self._optimizer.tell(candidate, math.inf)
        elif result is not None and self._metric is not None and result.get(self._metric) is not None:
            self._optimizer.tell(candidate, self._loss(result[self._metric]))

    def add_evaluated_point(
        self,
        parameters: Mapping[str, Any],
        value: float,
        error: bool = False,
        pruned: bool = False,
        intermediate_values: Sequence[float] | None = None,
    ) -> None:
        """Learn from a trial made elsewhere; nested parameters are named `a/b`."""
        optimizer = self._optimizer
        if optimizer is None:
            raise RunError("add_evaluated_point: expected a space, got none yet. Pass it as space.")
        values = {
            name: self._as_told(name, parameters[name]) for name in optimizer.space if name in parameters
        }
        candidate = optimizer.space.candidate(optimizer.space.encode(values))
        self._tried.add(candidate.architecture.to_json())
        optimizer.tell(candidate, math.inf if error else self._loss(value))

    def save(self, checkpoint_path: str) -> None:
        """Write the state of the search as JSON."""
        optimizer = self._optimizer
        state: dict[str, Any] = {"format": _FORMAT, "optimizer": None}
        if optimizer is not None:
            state["optimizer"] = optimizer.state_dict()
            state["under_way"] = {
                trial: {"x": [float(x) for x in one.x], "number": one.number}
                for trial, one in self._under_way.items()
            }
            state["tried"] = sorted(self._tried)
        write_text(Path(checkpoint_path), json.dumps(state))

    def restore(self, checkpoint_path: str) -> None:
        """Continue from what `save` wrote, as soon as there is a space.

        Raises:
            RunError: The file was not written by `save`, or is of another space or other arguments.
        """
        try:
            state = json.loads(Path(checkpoint_path).read_text())
        except (OSError, ValueError) as error:
            raise RunError(
                f"{checkpoint_path}: expected the state of an ASNGSearch, got: {error}."
            ) from error
        if not isinstance(state, dict) or state.get("format") != _FORMAT:
            raise RunError(f"{checkpoint_path}: expected the state of an ASNGSearch, got another file.")
        self._saved = state
        if self._optimizer is not None:
            self._load(self._optimizer)

    def _begin(self, space: Space) -> None:
        self._optimizer = Staged(space, budget=self._budget, seed=self._seed, noisy=self._noisy)
        if self._saved is not None:
            self._load(self._optimizer)

    def _load(self, optimizer: Staged) -> None:
        saved, self._saved = self._saved or {}, None
        if saved.get("optimizer") is None:
            return
        try:
            optimizer.load_state_dict(saved["optimizer"])
            self._tried = set(saved["tried"])
            self._under_way = {
                trial: optimizer.space.candidate(one["x"]) for trial, one in saved["under_way"].items()
            }
        except (AttributeError, KeyError, TypeError) as error:
            raise RunError(
                f"restore: expected the state of an ASNGSearch, got a damaged one ({error!r:.80})."
            ) from error

    def _drawn(self, optimizer: Staged) -> Candidate:
        return optimizer.ask(1, under_way=list(self._under_way.values()))[0]

    def _loss(self, value: Any) -> float:
        try:
            number = float(value)
        except (TypeError, ValueError):
            raise InputError(f"metric {self._metric!r}: expected a number, got {value!r:.80}.") from None
        return -number if self._mode == "max" else number

    def _config_of(self, architecture: Architecture) -> dict[str, Any]:
        if self._config is None:
            return dict(architecture)
        config = copy.deepcopy(self._config)
        for name, value in architecture.items():
            path, domain = self._domains[name]
            chosen = domain.categories[value] if isinstance(domain, domains.Categorical) else value
            assign_value(config, path, chosen)
        return config

    def _as_told(self, name: str, value: Any) -> Any:
        _, domain = self._domains.get(name, ((), None))
        if not isinstance(domain, domains.Categorical):
            return value
        if value not in domain.categories:
            raise InputError(
                f"parameters[{name!r}]: expected one of {domain.categories!r:.200}, got {value!r:.80}."
            )
        return domain.categories.index(value)


class RayExecutor(Executor):
    """An executor whose calls are Ray tasks, to run work on a Ray cluster wherever an executor is accepted.

    `asng.minimize(workers=RayExecutor())` evaluates there, and
    `asng.pipeline.retrain_run(executor=RayExecutor())` trains networks there. Functions are sent by value, so
    they need not be importable. If Ray is not initialised, it is started on this machine.

    Args:
        num_cpus: Cores that a task reserves, > 0.
        num_gpus: GPUs that a task reserves, >= 0.
        max_retries: How many times a task is restarted if its process or machine was lost, >= 0.

    Raises:
        InputError: An argument is not as described.

    Example:
        >>> RayExecutor(num_cpus=0.0)
        Traceback (most recent call last):
        asng.errors.InputError: num_cpus: expected a number > 0, got 0.0.
    """

    def __init__(self, *, num_cpus: float = 1.0, num_gpus: float = 0.0, max_retries: int = 0) -> None:
        if not (isinstance(num_cpus, (int, float)) and num_cpus > 0.0):
            raise InputError(f"num_cpus: expected a number > 0, got {num_cpus!r}.")
        if not (isinstance(num_gpus, (int, float)) and num_gpus >= 0.0):
            raise InputError(f"num_gpus: expected a number >= 0, got {num_gpus!r}.")
        max_retries = integer_at_least("max_retries", max_retries, 0)
        self._options = {"num_cpus": num_cpus, "num_gpus": num_gpus, "max_retries": max_retries}

    @property
    def _max_workers(self) -> int:
        """How many tasks can run at a time, under the name that executors of the standard library use."""
        _begun()
        found = ray.cluster_resources()
        by = [int(found.get("CPU", 0.0) / self._options["num_cpus"])]
        if self._options["num_gpus"]:
            by.append(int(found.get("GPU", 0.0) / self._options["num_gpus"]))
        return max(1, min(by))

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        """Call a function in a Ray task."""
        _begun()
        reference = ray.remote(fn).options(**self._options).remote(*args, **kwargs)
        return reference.future()  # type: ignore[no-any-return]


def _begun() -> None:
    if not ray.is_initialized():
        ray.init(include_dashboard=False, log_to_driver=False)


def _name(path: Sequence[Any]) -> str:
    return "/".join(map(str, path))


def _variable(name: str, domain: Any) -> Variable:
    """Return the variable that stands for a domain of Tune.

    Raises:
        InputError: The domain has no bounds, or is drawn by a function.
    """
    sampler, step = domain.get_sampler(), None
    if isinstance(sampler, domains.Quantized):
        sampler, step = sampler.get_sampler(), sampler.q
    log = isinstance(sampler, domains.LogUniform)
    if log or isinstance(sampler, domains.Uniform):
        if isinstance(domain, domains.Categorical):
            for category in domain.categories:
                if parse_spec_vars({"": category})[1]:
                    raise InputError(
                        f"param_space[{name!r}]: expected choices that are values, got a domain in "
                        f"{category!r:.80}. Give ASNGSearch an asng.Space with conditions (when)."
                    )
            return Categorical(range(len(domain.categories)))
        low, high = domain.lower, domain.upper
        if step is not None:  # Tune's quantised values are the multiples of the step between the ends
            low, high = math.ceil(low / step - _ROUNDING) * step, math.floor(high / step + _ROUNDING) * step
        if isinstance(domain, domains.Integer):
            # Without steps the upper end is one beyond the last value.
            high = domain.upper - 1 if step in (None, 1) else high
            return Integer(int(low), int(high), log=log, step=int(step or 1))
        if isinstance(domain, domains.Float):
            return Real(low, high, log=log, step=step)
    raise InputError(
        f"param_space[{name!r}]: expected choice, or uniform, randint and the like with bounds, got "
        f"{type(domain).__name__} {domain!r:.80}. Compute other values from these in the trainable."
    )
