"""What may be imported: all that the user names, and of a run folder's names those that the user repeats.

To import a module is to run it, and what config.yaml names is called with the arguments that it gives: a run
folder of someone else's could run anything. The rule: `import_named` and `signature.call` are the only places
that import what a setting names, both ask an `Imports`, and an `Imports` of a file allows nothing but what
the command line has named. Arguments in a file are data: if a signature asks for a class or a function, their
words are import paths, and are asked for like all others.
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
    """Which import paths may be followed.

    Args:
        named: Whole import paths that the user has named; None: all, since the settings are the user's own.
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
        """Raise unless each of the names may be imported.

        Args:
            names: Whole import paths.
            functions: More of them, of what is called as a loss or an objective. Those of torch and of ours
                need not be named: they get nothing but outputs and targets.

        Raises:
            RunError: One may not; the message says how to name it.
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
"""For settings that the user has written."""


def _is_ready(name: str) -> bool:
    """Whether a path names a loss of torch or an objective of ours, by lists and not by a prefix."""
    module, _, last = name.rpartition(".")
    if module == "torch.nn":
        found = getattr(nn, last, None)
        return isinstance(found, type) and issubclass(found, nn.modules.loss._Loss)
    if module == "torch.nn.functional":
        return last in _LOSSES or (last.endswith("_loss") and not last.startswith("_"))
    return name in _OBJECTIVES
