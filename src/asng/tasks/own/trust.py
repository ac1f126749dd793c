"""Names in a run folder that would be imported, and whether the user has said so.

To import a module is to run it, and what config.yaml names is called with the arguments that it gives: a run
folder of someone else's could run anything. So only names that the user gives too are looked for.
"""

from collections.abc import Collection, Iterator, Mapping
from typing import Any

from asng.errors import RunError

__all__ = ["refuse_untrusted"]

# Layers and losses of torch, scores of ours: what is directly in these modules, since a longer path could
# lead on into whatever they have imported (torch.nn.functional.importlib.import_module).
_KNOWN = ("torch.nn", "torch.nn.functional", "asng.search")
_FUNCTIONS = ("loss", "batch_loss", "minimize", "maximize")


def refuse_untrusted(network: object, trusted: Collection[str], where: str) -> None:
    """Raise where settings of one's own model and data name something that the user has not named.

    Args:
        network: The settings, as YAML has them.
        trusted: Whole import paths.
        where: The file, for messages.

    Raises:
        RunError: They do; the message says how to name it.

    Example:
        >>> network = {"model": {"import": "pkg.Net"}, "data": {"import": "os.system"}, "loss": "mse_loss"}
        >>> refuse_untrusted(network, ["pkg.Net", "os.system"], "config.yaml")
        >>> refuse_untrusted(network, ["pkg.Net"], "config.yaml")
        Traceback (most recent call last):
            ...
        asng.errors.RunError: config.yaml: would have os.system imported and called... --trust os.system.
    """
    named = dict.fromkeys(_names(network))
    foreign = [name for name in named if name not in trusted and name.rpartition(".")[0] not in _KNOWN]
    if foreign:
        words = ",".join(name[:200] for name in foreign[:8])
        raise RunError(
            f"{where}: would have {words.replace(',', ', ')} imported and called. Is the run yours, or do "
            f"you trust who made it? Then name {'it' if len(foreign) == 1 else 'them'}: --trust {words}."
        )


def _names(network: object) -> Iterator[str]:
    if not isinstance(network, Mapping):
        return
    for part in ("model", "data"):
        settings = network.get(part)
        if isinstance(settings, Mapping):
            yield str(settings.get("import"))
            yield from _classes(settings)
    for part in _FUNCTIONS:
        name = network.get(part)
        # Without a dot it is one of torch.nn.functional or asng.search.
        if name is not None and "." in str(name):
            yield str(name)


def _classes(value: Any) -> Iterator[str]:
    """Yield the classes that arguments at any depth are made of, as jsonargparse writes them."""
    if isinstance(value, Mapping):
        if "class_path" in value:
            yield str(value["class_path"])
        for item in value.values():
            yield from _classes(item)
    elif isinstance(value, list):
        for item in value:
            yield from _classes(item)
