"""Options of a conversion: which sizes are searched, and in what steps, by patterns of paths."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Any

from asng.checks import integer_at_least
from asng.errors import InputError
from asng.nn.conversion.passes import Refused

__all__ = ["Options"]


@dataclass(frozen=True)
class Options:
    """The checked options of `searchable`."""

    only: tuple[str, ...]
    skip: tuple[str, ...]
    step: Mapping[str, int]
    least: Mapping[str, float]

    @classmethod
    def of(cls, only: Any, skip: Any, step: Any, least: Any) -> "Options":
        """Check the options and bring them into one form.

        Raises:
            InputError: One is out of its range.
        """
        steps = dict(step) if isinstance(step, Mapping) else {} if step is None else {"*": step}
        leasts = dict(least) if isinstance(least, Mapping) else {"*": least}
        for value in steps.values():
            integer_at_least("step", value, 1)
        for share in leasts.values():
            if isinstance(share, bool) or not isinstance(share, (int, float)) or not 0.0 < share <= 1.0:
                raise InputError(f"least: expected a share of the channels in (0, 1], got {share!r}.")
        only, skip = ((one,) if isinstance(one, str) else tuple(one) for one in (only, skip))
        return cls(only, skip, steps, leasts)

    def check(self, paths: Iterable[str]) -> None:
        """Raise if a pattern matches none of the paths.

        Raises:
            InputError: A pattern other than "*" matches none.
        """
        known = list(dict.fromkeys(path for path in paths if path))
        for name in ("only", "skip", "step", "least"):
            for pattern in getattr(self, name):
                if pattern != "*" and not any(_matches(path, pattern) for path in known):
                    raise InputError(
                        f"{name}: expected patterns that match the path of a layer, got {pattern!r}. Paths "
                        f"are {', '.join(known[:8])}, ..."
                    )

    def refuse(self, paths: Sequence[str]) -> None:
        """Raise `Refused` if the options exclude a group from the search."""
        if self.only and not any(_matches(path, p) for path in paths for p in self.only):
            raise Refused("only= leaves it out")
        if any(_matches(path, p) for path in paths for p in self.skip):
            raise Refused("skip= leaves it out")

    def of_paths(self, values: Mapping[str, Any], paths: Sequence[str]) -> Any:
        """Return the value of the first pattern that matches one of the paths, or None if no pattern does."""
        return next((v for p, v in values.items() if any(_matches(path, p) for path in paths)), None)


def _matches(path: str, pattern: str) -> bool:
    """Whether a path is a pattern or matches it: that of a tensor has brackets, which mean something else."""
    return path == pattern or fnmatchcase(path, pattern)
