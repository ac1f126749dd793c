"""One-shot neural architecture search that needs no tuning, by Adaptive Stochastic Natural Gradient.

Names are imported on first use, so that `import asng` stays quick and a black-box search does not load torch.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from asng import nn
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


def __getattr__(name: str) -> Any:
    if name != "nn" and name not in _ROOM_OF:
        raise AttributeError(f"module 'asng' has no attribute {name!r}")
    try:
        return import_module("asng.nn") if name == "nn" else getattr(import_module(_ROOM_OF[name]), name)
    except ModuleNotFoundError as error:
        if error.name != "torch":
            raise
        told = f"asng.{name}: expected torch, which is not installed: pip install 'asng[nas]'."
        raise ModuleNotFoundError(told, name="torch") from error


def __dir__() -> list[str]:
    return sorted([*__all__, "__version__"])
