"""Extract a plain child from a supernet.

Each module is converted as follows, children first:

- a searchable module becomes what its `extract` returns, or is traced if a subclass has a forward of its own;
- a module of a class of `asng` is traced by `torch.fx` under the architecture, so that its control
  flow vanishes, and becomes a `GraphModule`; all other modules are leaves of that trace;
- any other module keeps its class: it becomes a copy with its children replaced.

So the child leaves out what the architecture excludes: candidates that are not chosen, blocks beyond a depth,
modules that a trace does not reach. Everything else in the model is kept, even if no call of the example
reaches it, because another input, or another mode, may.
"""

import random
from collections.abc import Callable, Collection, Mapping, Sequence
from functools import cached_property
from typing import Any, NamedTuple, TypeVar

import torch
from torch import Tensor, fx, nn
from torch.nn.parameter import is_lazy

from asng.errors import AsngError, InputError, in_one_line
from asng.nn.base import Call, Extraction, Searchable
from asng.nn.extraction.copying import Copier, check_copied, copies_itself, with_own_graph
from asng.nn.extraction.exclusion import drop, excluded
from asng.nn.extraction.hooks import carry_hooks, check_alone, check_same, is_wrapped
from asng.nn.extraction.recording import CallRecord, compiled_of, recorded
from asng.nn.extraction.sharing import check_independent
from asng.nn.inputs import Inputs
from asng.nn.layers.twin import Twin
from asng.nn.rules import check_twin, has_own_forward
from asng.nn.selection import following
from asng.space import Space, Value

__all__ = ["Extracted", "check_traceable", "extract"]

_T = TypeVar("_T")


class Extracted(NamedTuple):
    """A child, and what to warn of.

    Attributes:
        child: The plain module.
        unreached: Path of each module with weights that is kept although no call reached it, to the source
            of its width; "" if it needed none.
    """

    child: nn.Module
    unreached: dict[str, str]


def extract(
    model: nn.Module,
    architecture: Mapping[str, Value],
    calls: Sequence[Inputs],
    *,
    space: Space,
    reachable: set[str],
    never: Collection[str] = (),
    fresh: bool = False,
) -> Extracted:
    """Return `model` under an architecture as a plain module. See `Supernet.extract`.

    Args:
        model: A model whose searchable modules a `Supernet` has bound.
        architecture: A value for every variable.
        calls: Inputs of calls of the model; not needed if no layer takes its width from its input.
        space: The variables.
        reachable: As in `excluded`.
        never: Paths of modules that no architecture is known to reach, so that none is tried.
        fresh: Whether to reinitialise cut layers.

    Raises:
        InputError: A searchable layer needs an example, or a module cannot be copied.
    """
    # Copies made in inference mode could never be trained.
    with torch.inference_mode(False), following(architecture):
        extraction = _Extraction(model, calls, fresh=fresh)
        extraction.settle()
        child = extraction.made()
        unreached = extraction.unreached() if calls else {}
        if sought := unreached.keys() - set(never):
            out = excluded(model, architecture, calls, sought, space=space, reachable=reachable)
            if out and drop(child, [extraction.child(model.get_submodule(path)) for path in out], calls):
                unreached = {path: width for path, width in unreached.items() if path not in out}
    check_independent(child, model)
    return Extracted(child, unreached)


def check_traceable(model: nn.Module, space: Space) -> None:
    """Raise if a user's subclass of a choice has a forward that no child can have.

    Args:
        model: A model whose searchable modules are bound.
        space: Its variables.

    Raises:
        InputError: Its trace under the first values fails, or differs between training and evaluation.
    """
    kinds = [m for m in model.modules() if isinstance(m, Searchable) and not isinstance(m, Twin)]
    # Not those that derive from Searchable alone, which may never be extracted.
    traced = [m for m in kinds if has_own_forward(type(m)) and type(m).extract is not Searchable.extract]
    with following({name: variable.uniform(0.0) for name, variable in space.items()}):
        for module in traced:
            _Extraction(model, ())._graph(module)


class _Extraction(Extraction):
    """The extraction of one architecture.

    Args:
        model: The whole model.
        calls: Inputs of calls of the model.
        fresh: Whether to reinitialise layers of which only a part is used.
    """

    def __init__(self, model: nn.Module, calls: Sequence[Inputs], *, fresh: bool = False) -> None:
        self.fresh = fresh
        self.has_calls = bool(calls)
        self._model = model
        self._inputs = calls
        self._paths = {module: path for path, module in model.named_modules()}
        owned = {id(module) for module in self._paths} | {
            id(t) for t in (*model.parameters(), *model.buffers())
        }
        self._copier = Copier(self.child, owned)
        self._memo = self._copier.memo
        self._later: list[Callable[[], None]] = []
        self._last: list[Callable[[], None]] = []
        self._peers: dict[nn.Module, str] = {}  # unreached twin -> where its width was taken from

    def settle(self) -> None:
        """Run the example first if weights have no size yet (`torch.nn.LazyLinear`), to give them one."""
        if self._inputs and any(map(is_lazy, self._model.parameters())):
            self._record  # noqa: B018 - computing it runs the example

    def made(self) -> nn.Module:
        """Return the plain form of the model.

        All modules come first, then their attributes, so that an attribute that refers to a module finds its
        plain form. Hooks and replaced forwards of searchable modules come last.
        """
        child = self.child(self._model)
        self._alias()
        for work in (self._later, self._last):
            while work:
                work.pop(0)()
        self._copier.rebind(child.modules())
        self._tie()
        return child

    def _alias(self) -> None:
        """Make attributes that refer to a weight of a twin refer to that of its plain layer."""
        aliases: dict[int, Tensor] = {}
        for twin in self._model.modules():
            if isinstance(twin, Twin) and id(twin) in self._memo:
                own = self._memo[id(twin)]._parameters
                for name, weight in twin.named_parameters(recurse=False):
                    if own.get(name) is not None:
                        aliases.setdefault(id(weight), own[name])
        self._memo.update(aliases)

    def _tie(self) -> None:
        """Make modules of the child share the parts of a weight that their originals share."""
        places: dict[Tensor, list[tuple[nn.Module, str]]] = {}
        for module in self._model.modules():
            for name, parameter in module.named_parameters(recurse=False):
                places.setdefault(parameter, []).append((module, name))
        for shared in places.values():
            there = [(self._memo[id(m)]._parameters, name) for m, name in shared if id(m) in self._memo]
            for table, name in there[1:]:
                first, own = there[0][0].get(there[0][1]), table.get(name)
                if first is None or own is None or first.shape != own.shape:
                    continue
                if self.fresh or torch.equal(first, own):
                    table[name] = first

    def child(self, module: nn.Module) -> nn.Module:
        if id(module) not in self._memo:
            # A rebuilt copy enters itself earlier, before its children may refer to it.
            twin = self._plain(module)
            self._memo[id(module)] = twin
        return self._memo[id(module)]  # type: ignore[no-any-return]

    def copy(self, value: _T) -> _T:
        return self._copier.value(value)  # type: ignore[no-any-return]

    def later(self, work: Callable[[], None]) -> None:
        self._later.append(work)

    def calls(self, module: nn.Module) -> list[Call]:
        return self._record.calls.get(module) or self._calls_of_peer(module)

    def unreached(self) -> dict[str, str]:
        """Return the modules that no call reached, in the form of `Extracted.unreached`."""
        within: set[nn.Module] = set()  # parts of a twin, which may or may not read their weights
        found = {}
        for path, module in self._model.named_modules():
            if isinstance(module, Twin):
                within.update(list(module.modules())[1:])
            own = next(module.parameters(recurse=False), None)
            searched = isinstance(module, Twin) and next(module.parameters(), None) is not None
            if (own is None and not searched) or module in within or id(module) not in self._memo:
                continue
            if not self._record.touches(module):
                found[path] = self._peers.get(module, "") if isinstance(module, Twin) else ""
        return found

    def trace(self, module: nn.Module) -> nn.Module:
        graph = self._graph(module)
        graph._tracer_cls = None  # or a pickled child would look for this module's tracer
        parts: dict[str, Any] = {}
        for node in graph.nodes:
            node.meta.clear()  # it names classes of asng
            if node.op == "call_module":
                parts[node.target] = self.child(module.get_submodule(node.target))
            elif node.op == "get_attr":
                parts[node.target] = self.copy(_attribute(module, node.target))
        twin = fx.GraphModule(parts, graph, class_name=type(module).__name__)
        for path, container in twin.named_modules():
            if not any(path == part or path.startswith(f"{part}.") for part in parts):
                container.training = module.get_submodule(path).training
        return twin

    def _graph(self, module: nn.Module) -> fx.Graph:
        """Return the trace of a module; for a user's class, training and evaluation must give the same."""
        if type(module).__module__.partition(".")[0] == "asng":
            return _Tracer().trace(module)
        path, kind = self._paths.get(module, ""), type(module).__name__
        modes = [(part, part.training) for part in module.modules()]
        state, graphs = random.getstate(), []
        try:
            for training in (not module.training, module.training):
                module.train(training)
                graphs.append(_Tracer().trace(module))
        except AsngError:
            raise
        except Exception as error:
            raise InputError(
                f"module {path!r} ({kind}): expected a forward that torch.fx can follow once the "
                f"architecture is fixed, got {in_one_line(error)}. Put what it adds into a torch.nn.Module "
                "around the searchable layer, or give it an extract of its own."
            ) from error
        finally:
            random.setstate(state)
            for part, training in modes:
                part.training = training
        if len({graph.python_code("self").src for graph in graphs}) > 1:
            raise InputError(
                f"module {path!r} ({kind}): expected a forward that does the same in training and in "
                "evaluation, since its trace can hold one of them only, got two. Put what depends on the "
                "mode into a torch.nn.Module of its own, or give it an extract."
            )
        return graphs[-1]

    def _plain(self, module: nn.Module) -> nn.Module:
        inner = compiled_of(module)
        if inner is not None:
            return self.child(inner)
        if isinstance(module, Searchable):
            return self._hooked(module, self._extracted(module))
        if _is_own(module):
            return self._hooked(module, self.trace(module))
        if copies_itself(module) and not any(
            isinstance(m, Searchable) or _is_own(m) for m in module.modules()
        ):
            return self._copied(module)
        return self._rebuilt(module)

    def _extracted(self, module: Searchable) -> nn.Module:
        if isinstance(module, Twin):
            check_twin(self._paths.get(module, ""), module)
            return module.extract(self)
        return self.trace(module) if has_own_forward(type(module)) else module.extract(self)

    def _hooked(self, module: nn.Module, child: nn.Module) -> nn.Module:
        """Give a child, later, the hooks of its module and a forward replaced on the instance."""
        if not is_wrapped(module):
            return child
        # Innermost first: a choice among choices comes after its candidate.
        self._last.append(lambda: self._wrap(module, child))
        return child

    def _wrap(self, module: nn.Module, child: nn.Module) -> None:
        path = self._paths.get(module, "")
        check_alone(module, child, model=self._model, path=path)
        if "forward" in vars(module):
            vars(child)["forward"] = check_copied(
                path, "forward", vars(module)["forward"], self._copier.value
            )
        carry_hooks(module, child, copied=self.copy)
        if self._inputs:
            check_same(path, self._model, module, child, self._record.calls.get(module, []))

    def _copied(self, module: nn.Module) -> nn.Module:
        path = self._paths.get(module, "")
        child: nn.Module = check_copied(path, type(module).__name__, module, self._copier.whole)
        return child

    def _rebuilt(self, module: nn.Module) -> nn.Module:
        twin: nn.Module = object.__new__(type(module))  # its own `__new__` may need arguments
        self._memo[id(module)] = twin
        nn.Module.__init__(twin)
        vars(twin)["training"] = module.training
        vars(twin)["_modules"] = {
            name: None if child is None else self.child(child) for name, child in module._modules.items()
        }
        self._later.append(lambda: self._fill(module, twin))
        return twin

    def _fill(self, module: nn.Module, twin: nn.Module) -> None:
        """Give a rebuilt module its attributes."""
        path = self._paths.get(module, "")
        for name, value in vars(module).items():
            if name not in ("_modules", "_compiled_call_impl"):  # the latter runs the original module
                vars(twin)[name] = check_copied(path, name, value, self._copier.value)
        with_own_graph(twin)

    def _calls_of_peer(self, module: nn.Module) -> list[Call]:
        """Return the calls of a similar layer in a similar place, for a layer that no call reached.

        Experts that the data choose among are lists of equal blocks: the input of one may reach another.
        """
        path = self._paths.get(module, "").split(".")
        shapes = [p.shape for p in module.parameters()]
        peers = []
        for other in self._record.calls:
            there = self._paths.get(other, "").split(".")
            differ = [a != b for a, b in zip(path, there, strict=False)]
            alike = len(there) == len(path) and sum(differ) == 1 and type(other) is type(module)
            if alike and [p.shape for p in other.parameters()] == shapes:
                peers.append((differ.index(True), ".".join(there), other))
        if not peers:
            self._peers[module] = "its largest"
            return []
        _, there, nearest = max(peers, key=lambda peer: peer[0])
        self._peers[module] = f"that of {there}"
        return self._record.calls[nearest]

    @cached_property
    def _record(self) -> CallRecord:
        if not self._inputs:
            raise InputError(
                "example: expected an input, because a searchable layer takes its input width from it, "
                "got None. Call supernet.extract(architecture, example=x)."
            )
        return recorded(self._model, self._inputs)


class _Tracer(fx.Tracer):
    """Trace into classes of `asng` only, and not into searchable modules with an `extract` of their own."""

    def is_leaf_module(self, m: nn.Module, module_qualified_name: str) -> bool:
        if isinstance(m, Searchable):
            return type(m).extract is not Searchable.extract
        return not _is_own(m)


def _is_own(module: nn.Module) -> bool:
    return any(base.__module__.partition(".")[0] == "asng" for base in type(module).__mro__)


def _attribute(module: nn.Module, path: str) -> Any:
    owner, _, name = path.rpartition(".")
    return getattr(module.get_submodule(owner), name)
