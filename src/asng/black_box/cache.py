"""Remember the outcomes of a function without noise, and find them again by the values it read.

If the values that a function read are the same, it returns the same loss, whatever the other values are. It
also reads them in the same order: its first read is always of the same variable, and what it reads next
depends only on the values read before. Its calls thus form a tree. An inner node is the variable that is read
next, an edge one of its values, a leaf an outcome. A known call is found along one path, and two
architectures that leave the known tree by different edges cannot share an outcome.
"""

import math
from collections.abc import Collection, Sequence
from typing import Any, TypeAlias

from asng.black_box.calling import CallOutcome
from asng.space import Architecture, Space
from asng.space.variables import Value

__all__ = ["Cache"]

_CAREFUL = 8
"""Number of first calls that are assumed to leave something unread, until f has shown that it reads all."""

_MOST_BITS = 4096
"""Spaces with more than 2 to this many architectures are not counted: no search exhausts them."""

_ABSENT: Any = object()
"""Stands for the value of a variable that an architecture does not have."""

_Edge: TypeAlias = tuple[int, str, Value]
"""Where an architecture leaves the tree: the identity of a node, the variable, its value."""


class _Leaf:
    """An outcome, with the names that were read, in order, and their values."""

    __slots__ = ("outcome", "reads", "values")

    def __init__(self, reads: tuple[str, ...], architecture: Architecture, outcome: CallOutcome) -> None:
        self.reads, self.outcome = reads, outcome
        self.values = tuple(architecture[name] for name in reads)


class _Node:
    """What is read next: one name, or several if the function does not read in a fixed order."""

    __slots__ = ("names", "outcome")

    def __init__(self) -> None:
        self.names: dict[str, dict[Value, _Node | _Leaf]] = {}
        self.outcome: CallOutcome | None = None


class Cache:
    """Remembers the outcomes of a function without noise.

    A call that failed, was ended early, or read nothing is remembered for its own architecture only: it does
    not show that the values which were read decide the outcome.

    Args:
        space: The search space.
        noisy: Remember nothing, since another call would give another loss.
        watched: Whether outcomes say what was read.

    Example:
        >>> from asng.space import Categorical, Integer
        >>> cache = Cache(Space({"op": Categorical(["a", "b"]), "k": Integer(1, 9)}), noisy=False)
        >>> cache.keep(Architecture({"op": "a", "k": 3}), CallOutcome(2.0, ("op",), 0.1))
        >>> cache.get(Architecture({"op": "a", "k": 7})).loss, cache.get(Architecture({"op": "b", "k": 3}))
        (2.0, None)
    """

    def __init__(self, space: Space, *, noisy: bool, watched: bool = True) -> None:
        self.noisy, self._watched = noisy, watched
        self._root: _Node | _Leaf | None = None
        self._whole: dict[Architecture, CallOutcome] = {}
        self._orders: dict[tuple[str, ...], tuple[str, ...]] = {}  # each once in memory
        self._kept, self._skips, self._names = 0, False, len(space)
        self._sizes = {name: v.size for name, v in space.items() if math.isfinite(v.size)}
        self._reals = frozenset(space) - self._sizes.keys()
        countable = sum(map(math.log2, self._sizes.values())) <= _MOST_BITS
        self._size = math.prod(int(size) for size in self._sizes.values()) if countable else None
        self._covered = self._apart = 0

    @property
    def exhausted(self) -> bool:
        """Whether the outcome of every architecture of the space is known."""
        if self.noisy or self._size is None or self._covered + self._apart < self._size:
            return False
        apart = sum(self._count(tuple(one)) for one in self._whole if self._found(one)[0] is None)
        return self._covered + apart >= self._size

    def get(self, architecture: Architecture) -> CallOutcome | None:
        """Return the known outcome of an architecture, or None."""
        if self.noisy:
            return None
        return self._whole.get(architecture) or self._found(architecture)[0]

    def keep(self, architecture: Architecture, outcome: CallOutcome) -> None:
        """Remember the outcome of a call."""
        if self.noisy:
            return
        self._kept += 1
        if outcome.error is not None or outcome.stopped or not outcome.reads:
            self.know(architecture, outcome)
        elif self._found(architecture)[0] is None:
            reads = self._orders.setdefault(outcome.reads, outcome.reads)
            self._skips = self._skips or len(reads) < self._names
            self._covered += self._count(reads)
            self._insert(_Leaf(reads, architecture, outcome), architecture)

    def know(self, architecture: Architecture, outcome: CallOutcome) -> None:
        """Remember an outcome for this architecture only, since it is not known what it depended on."""
        if not self.noisy:
            self._apart += self._count(tuple(architecture)) if architecture not in self._whole else 0
            self._whole[architecture] = outcome

    def new(self, architectures: Sequence[Architecture], done: Collection[int] = ()) -> list[int]:
        """Return the places to call now: of those that may have the same outcome, only the first.

        Ask again, with more places done, until nothing is new.

        Args:
            architectures: Those whose outcomes are needed.
            done: Places that were paid for already.
        """
        if self.noisy:
            return [place for place in range(len(architectures)) if place not in done]
        first: dict[Architecture | _Edge | None, int] = {}
        for place, architecture in enumerate(architectures):
            if place not in done and self.get(architecture) is None:
                first.setdefault(self.alike(architecture), place)
        return list(first.values())

    def alike(
        self, architecture: Architecture, *, careful: bool | None = None
    ) -> "Architecture | _Edge | None":
        """Return the key that architectures of unknown outcome share if they may have the same outcome.

        Args:
            architecture: One whose outcome is unknown.
            careful: Whether to expect that a call leaves something unread, even if none has so far. Default:
                during the first calls.
        """
        # If f has read everything so far, it is expected to go on so: calls need not wait for each other.
        careful = self._kept < _CAREFUL if careful is None else careful
        careful = self._watched and (self._skips or careful)
        only_whole = self._root is None and self._whole  # it fails, or reads nothing
        return self._found(architecture)[1] if careful and not only_whole else architecture

    def _found(self, architecture: Architecture) -> tuple[CallOutcome | None, _Edge | None]:
        """Return the outcome if it is known; else the edge by which the architecture leaves the tree."""
        edge: _Edge | None = None
        below = [] if self._root is None else [self._root]
        while below:
            at = below.pop()
            if isinstance(at, _Leaf):
                for name, value in zip(at.reads, at.values, strict=True):
                    other = architecture.get(name, _ABSENT)
                    if other != value:
                        edge = edge or (id(at), name, other)
                        break
                else:
                    return at.outcome, None
            elif at.outcome is not None:
                return at.outcome, None
            else:
                for name, branches in reversed(at.names.items()):
                    other = architecture.get(name, _ABSENT)
                    child = branches.get(other)
                    if child is not None:
                        below.append(child)
                    else:
                        edge = edge or (id(at), name, other)
        return None, edge

    def _insert(self, leaf: _Leaf, architecture: Architecture) -> None:
        if self._root is None:
            self._root = leaf
            return
        left, path = dict.fromkeys(leaf.reads), set[str]()
        holder: dict[Value, _Node | _Leaf] | None = None
        value: Value = None
        at = self._root
        while True:
            if isinstance(at, _Leaf):
                at = self._split(at, path)
                if holder is None:
                    self._root = at
                else:
                    holder[value] = at
            if not left:  # it read only a part of what another such call read: no fixed order
                at.outcome = leaf.outcome
                return
            name = next((name for name in at.names if name in left), next(iter(left)))
            del left[name]
            path.add(name)
            holder, value = at.names.setdefault(name, {}), architecture[name]
            below = holder.get(value)
            if below is None:
                holder[value] = leaf
                return
            at = below

    @staticmethod
    def _split(leaf: _Leaf, path: set[str]) -> _Node:
        """Return a node with the leaf below it, by the first name that it read beyond the path."""
        node = _Node()
        for name, value in zip(leaf.reads, leaf.values, strict=True):
            if name not in path:
                node.names[name] = {value: leaf}
                return node
        node.outcome = leaf.outcome
        return node

    def _count(self, reads: tuple[str, ...]) -> int:
        """Return how many architectures share what was read; 0 if a real was read or none are counted."""
        if self._size is None or not self._reals.isdisjoint(reads):
            return 0
        return self._size // math.prod(int(self._sizes[name]) for name in reads)
