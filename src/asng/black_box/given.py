"""What the user knows before a search: losses from elsewhere, and where to start."""

from collections.abc import Mapping, Sequence

from asng.errors import InputError, SpaceError
from asng.space import Candidate, Space
from asng.space.variables import Value

__all__ = ["candidates_of", "known_losses"]


def candidates_of(space: Space, name: str, architectures: Sequence[Mapping[str, Value]]) -> list[Candidate]:
    """Return architectures as candidates.

    Args:
        space: The space.
        name: Of the argument, for errors.
        architectures: What the user gave.

    Raises:
        InputError: They are no list, or one is none of the space.
    """
    if not isinstance(architectures, (list, tuple)):
        raise InputError(f"{name}: expected a list of architectures, got {architectures!r:.80}.")
    found = []
    for i, architecture in enumerate(architectures):
        if not isinstance(architecture, Mapping):
            raise InputError(f"{name}[{i}]: expected an architecture or a dict, got {architecture!r:.80}.")
        try:
            found.append(space.candidate(space.encode(architecture)))
        except SpaceError as error:
            raise InputError(f"{name}[{i}]: {error}") from error
    return found


def known_losses(
    space: Space, known: Sequence[tuple[Mapping[str, Value], float]]
) -> list[tuple[Candidate, float]]:
    """Return architectures and losses as candidates and numbers.

    Raises:
        InputError: They are no list of pairs, an architecture is none of the space, or a loss is no number.
    """
    if not isinstance(known, (list, tuple)):
        raise InputError(f"known: expected a list of (architecture, loss), got {known!r:.80}.")
    for i, pair in enumerate(known):
        if not isinstance(pair, (list, tuple)) or len(pair) != 2:
            raise InputError(f"known[{i}]: expected (architecture, loss), got {pair!r:.80}.")
        loss = pair[1]
        if isinstance(loss, (bool, str, bytes)) or not hasattr(loss, "__float__"):
            raise InputError(f"known[{i}]: expected a number as the loss, got {loss!r:.80}.")
    candidates = candidates_of(space, "known", [architecture for architecture, _ in known])
    return [(candidate, float(loss)) for candidate, (_, loss) in zip(candidates, known, strict=True)]
