"""One-shot neural architecture search that needs no tuning, by Adaptive Stochastic Natural Gradient.

Names are imported on first use, so that `import asng` stays quick and a black-box search does not load torch.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from asng import costs as costs
    from asng import data as data
    from asng import integrations as integrations
    from asng import nn
    from asng import optim as optim
    from asng import report as report
    from asng import search as search
    from asng import space as space
    from asng import testing as testing
    from asng import training as training
    from asng.black_box import minimize
    from asng.compression import compress
    from asng.costs import Budget, Penalty
    from asng.errors import AsngError, InputError, RunError, SpaceError
    from asng.optim import ASNG, SNG, Adam, RandomSearch
    from asng.search import OneShotSearch, SearchResult
    from asng.space import Architecture, Candidate, Categorical, Integer, Real, Space
    from asng.training import distilled, supervised

__all__ = [
    "ASNG",
    "SNG",
    "Adam",
    "Architecture",
    "AsngError",
    "Budget",
    "Candidate",
    "Categorical",
    "InputError",
    "Integer",
    "OneShotSearch",
    "Penalty",
    "RandomSearch",
    "Real",
    "RunError",
    "SearchResult",
    "Space",
    "SpaceError",
    "compress",
    "distilled",
    "minimize",
    "nn",
    "supervised",
]

__version__ = "0.2.0"

_HOME = {
    "asng.errors": ("AsngError", "InputError", "RunError", "SpaceError"),
    "asng.space": ("Architecture", "Candidate", "Categorical", "Integer", "Real", "Space"),
    "asng.optim": ("ASNG", "SNG", "Adam", "RandomSearch"),
    "asng.black_box": ("minimize",),
    "asng.compression": ("compress",),
    "asng.costs": ("Budget", "Penalty"),
    "asng.search": ("OneShotSearch", "SearchResult"),
    "asng.training": ("distilled", "supervised"),
}
_ROOM_OF = {name: room for room, names in _HOME.items() for name in names}
_ROOMS = (
    *("black_box", "compression", "costs", "data", "distributed", "distributions", "errors", "experiments"),
    *("integrations", "nn", "optim", "pipeline", "report", "runs", "search", "settings", "space"),
    *("supernets", "tasks", "testing", "training"),
)
"""The packages that are attributes after `import asng`, as in `asng.training.train`."""


def __getattr__(name: str) -> Any:
    if name not in _ROOMS and name not in _ROOM_OF:
        raise AttributeError(f"module 'asng' has no attribute {name!r}")
    try:
        if name in _ROOMS:
            return import_module(f"asng.{name}")
        return getattr(import_module(_ROOM_OF[name]), name)
    except ModuleNotFoundError as error:
        if error.name != "torch":
            raise
        told = f"asng.{name}: expected torch, which is not installed: pip install 'asng[nas]'."
        raise ModuleNotFoundError(told, name="torch") from error


def __dir__() -> list[str]:
    return sorted({*__all__, *_ROOMS, "__version__"})
