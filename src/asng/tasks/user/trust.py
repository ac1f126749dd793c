"""Which import paths are allowed: all that the user names, but from a run folder only those the user repeats.

Importing a module runs it, and asng calls what config.yaml names with the arguments given there. Someone
else's run folder could thus run anything. The rule: only `import_named` and `signature.call` import what a
setting names, and both ask an `Imports`. An `Imports` for a file allows only what the command line has named.
Arguments in a file are data. If a signature asks for a class or a function, their strings are import paths
and are checked like all others.
"""

from collections.abc import Iterable
from dataclasses import dataclass

from torch import nn

from asng.errors import RunError

__all__ = ["ANYTHING", "Imports"]

_OBJECTIVES = frozenset({"asng.training.accuracy"})
_LOSSES = frozenset({"cross_entropy", "binary_cross_entropy", "binary_cross_entropy_with_logits", "kl_div"})


@dataclass(frozen=True)
class Imports:
    """The import paths that may be imported.

    Args:
        named: Full import paths that the user has named; None: all, because the settings are the user's own.
        where: The file that the settings come from, for messages.

    Example:
        >>> imports = Imports(frozenset({"pkg.Net"}), where="config.yaml")
        >>> imports.check(["pkg.Net"], functions=["torch.nn.functional.mse_loss"])
        >>> imports.check(["pkg.Net", "os.system"])
        Traceback (most recent call last):
            ...
        asng.errors.RunError: config.yaml: would have os.system imported and called... --trust os.system.
    """

    named: frozenset[str] | None = None
    where: str = ""

    def check(self, names: Iterable[str], *, functions: Iterable[str] = ()) -> None:
        """Raise unless all of the names may be imported.

        Args:
            names: Full import paths.
            functions: Further import paths, of losses and objectives. Those of torch and asng need not be
                named by the user: they receive only outputs and targets.

        Raises:
            RunError: A name may not be imported; the message says how to allow it.
        """
        if self.named is None:
            return
        asked = dict.fromkeys([*names, *(name for name in functions if not _is_ready(name))])
        foreign = [name for name in asked if name not in self.named]
        if foreign:
            shown = [name[:200] for name in foreign[:8]]
            raise RunError(
                f"{self.where}: would have {', '.join(shown)} imported and called. Is the run yours, or do "
                f"you trust who made it? Then name {'it' if len(foreign) == 1 else 'them'}: "
                f"--trust {','.join(shown)}."
            )


ANYTHING = Imports()
"""Allows every import path, for settings that the user has written."""


def _is_ready(name: str) -> bool:
    """Return whether a path names a loss of torch or an objective of asng; a module prefix is not enough."""
    module, _, last = name.rpartition(".")
    if module == "torch.nn":
        found = getattr(nn, last, None)
        return isinstance(found, type) and issubclass(found, nn.modules.loss._Loss)
    if module == "torch.nn.functional":
        return last in _LOSSES or (last.endswith("_loss") and not last.startswith("_"))
    return name in _OBJECTIVES
