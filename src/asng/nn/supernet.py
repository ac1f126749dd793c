"""The supernet: a model with searchable parts that runs or extracts one architecture at a time."""

import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import torch
from torch import nn

from asng.errors import AsngError, InputError, SpaceError
from asng.nn.beginning import Beginning
from asng.nn.compiling import compile_or_refuse, refuse_whole
from asng.nn.extraction.extract import check_traceable, extract
from asng.nn.inputs import calls_of
from asng.nn.mismatch import explain
from asng.nn.naming import bind_names, check_weights_unshared
from asng.nn.rules import check_model, settle_fused_paths
from asng.nn.selection import carry_into_recomputation, following
from asng.space import Architecture, Space, Value

__all__ = ["Supernet"]


class _Pass:
    """State of a supernet's last pass; a plain object, because setting a module's attribute is slower.

    Attributes:
        checked: The architecture that was checked last; None if it is mutable.
        values: Its values.
        active: Names of the variables that the pass read.
    """

    def __init__(self) -> None:
        self.checked: Architecture | None = None
        self.values: Mapping[str, Value] = {}
        self.active: frozenset[str] = frozenset()


class Supernet(nn.Module):
    """All architectures of a model in one module, with shared weights.

    It gathers the variables of the model's searchable modules and runs one architecture at a time.
    The model is not copied, and its weights are in `state_dict` under "model.".

    Args:
        model: Any module that is or contains a searchable module (`asng.nn.Choice`, ...).

    Attributes:
        model: As given.
        space: The variables in the order of the modules. Modules whose variables have the same label
            share one variable; without a label the name is the module's path.
        beginning: Buffers and plain attributes of the model as they were when the supernet was made. Training
            from scratch starts from them.
        conversion: The `asng.nn.Conversion` with the findings of `asng.nn.searchable`; None for a model made
            searchable by hand.

    Raises:
        InputError: `model` is not a module, or something in it cannot be run, copied or kept in a child.
        SpaceError: Nothing in it is searchable, a label stands for two different variables, a variable has a
            condition, or a searchable layer shares a weight with another module.

    Example:
        >>> import torch
        >>> from asng.nn import Choice
        >>> op = Choice({"linear": torch.nn.Linear(3, 3), "skip": torch.nn.Identity()}, label="op")
        >>> supernet = Supernet(torch.nn.Sequential(op, torch.nn.ReLU()))
        >>> supernet(-torch.ones(3), architecture={"op": "skip"})
        tensor([0., 0., 0.])
        >>> supernet.extract({"op": "skip"})
        Sequential(
          (0): Identity()
          (1): ReLU()
        )
    """

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        if not isinstance(model, nn.Module):
            raise InputError(f"model: expected a torch.nn.Module, got {model!r}.")
        check_model(model)
        variables = bind_names(model)
        check_weights_unshared(model)
        if not variables:
            raise SpaceError(
                f"model: expected at least one searchable module, got none in {type(model).__name__}. "
                "Put an asng.nn.Choice where the architecture decides, or give a layer of asng.nn a variable "
                "as a size."
            )
        settle_fused_paths(model)
        carry_into_recomputation()
        self.model = model
        self.space = Space(variables)
        check_traceable(model, self.space)
        if self.space.deciding:
            raise SpaceError(
                "when: expected none in searchable modules, got conditions on "
                f"{', '.join(self.space.deciding)}. Leave them out: the supernet records what each forward "
                "pass reads."
            )
        self.beginning = Beginning(model)
        self.conversion: Any = None
        self._pass = _Pass()
        self._said: set[str] = set()
        self._reachable: set[str] = set()

    @property
    def active(self) -> frozenset[str]:
        """Names of the variables that the last forward pass read; empty before the first."""
        return self._pass.active

    def forward(self, *args: Any, architecture: Mapping[str, Value], **kwargs: Any) -> Any:
        """Run the model as one architecture.

        Args:
            *args: Positional arguments of the model.
            architecture: A value for every variable of the space.
            **kwargs: Keyword arguments of the model.

        Raises:
            SpaceError: The architecture is not in the space.
            InputError: Widths of layers do not match under this architecture, or torch is compiling the
                supernet as a whole.
        """
        if torch.compiler.is_dynamo_compiling():
            refuse_whole()
        values = self._check(architecture)
        try:
            with following(values) as selection:
                output = self.model(*args, **kwargs)
        except torch.OutOfMemoryError:
            raise
        except (RuntimeError, ValueError, AssertionError) as error:
            self._explain(error, values, args, kwargs)
            raise
        self._pass.active = frozenset(selection.read)
        return output

    def compile(self, *, backend: str | Callable[..., Any] = "inductor", mode: str | None = None) -> None:
        """Compile the operations of the supernet, not the supernet as a whole; see `compile_operations`.

        Args:
            backend: Passed to `torch.compile`.
            mode: Passed to `torch.compile`.

        Raises:
            InputError: There is nothing to compile, or no compiler.
        """
        compile_or_refuse(self, backend=backend, mode=mode)

    @contextmanager
    def following(self, architecture: Mapping[str, Value]) -> Iterator[None]:
        """Let the model follow an architecture inside the `with` block, however it is called there.

        Use it for calls other than the forward pass: `generate` of a language model, an encoder by itself,
        one step of a sampler.

        Args:
            architecture: A value for every variable of the space.

        Raises:
            SpaceError: The architecture is not in the space.

        Example:
            >>> from asng.nn import Choice
            >>> supernet = Supernet(Choice([torch.nn.Tanh(), torch.nn.Identity()], label="op"))
            >>> with supernet.following({"op": 1}):
            ...     supernet.model(torch.ones(1))
            tensor([1.])
        """
        with following(self._check(architecture)) as selection:
            yield
        self._pass.active = frozenset(selection.read)

    def extract(
        self,
        architecture: Mapping[str, Value],
        example: Any = None,
        *,
        fresh: bool = False,
    ) -> nn.Module:
        """Return one architecture as a plain module that needs no `asng`.

        The child holds copies of the weights that the architecture uses, under the same paths if
        possible, and computes what the supernet computes. Modules of your own classes keep their
        class; only their searchable children are replaced.

        The child leaves out what the architecture excludes: candidates that it does not choose, blocks beyond
        its depth, and modules that passes on shapes alone reach only under other architectures. Everything
        else is kept, since other inputs, or the other mode, may run it, or a loss may read it. If no call of
        the example reaches a module with weights, and no loss has given them a gradient, a warning says so,
        once.

        Args:
            architecture: A value for every variable of the space.
            example: Inputs of a call: a tuple of positional inputs, a single input that is not a tuple, a
                mapping of keyword inputs, or `asng.nn.Inputs` for both. If a loss or an objective makes
                several calls that reach different layers, pass a list of `Inputs`. Layers learn the widths
                of their inputs from it. The model runs on it in training mode and in evaluation mode, and is
                left as it was; one of the two runs may fail.
            fresh: Reinitialise, by torch's own rule, the layers of which the architecture uses only a part.
                Use it for a child that will be trained alone, because the weights of the whole layer were
                initialised for its larger width. The random numbers come from torch's generator.

        Raises:
            SpaceError: The architecture is not in the space.
            InputError: A searchable layer needs an example, a module holds something that cannot be copied,
                or weights are sharded.
        """
        values = self._check(architecture)
        _check_whole(self.model)
        calls = [] if example is None else calls_of(self.model, example)
        try:
            child, unreached = extract(
                self.model,
                values,
                calls,
                space=self.space,
                reachable=self._reachable,
                never=() if self.conversion is None else self.conversion.unreached,
                fresh=fresh,
            )
        except torch.OutOfMemoryError:
            raise
        except (RuntimeError, ValueError, AssertionError) as error:
            for call in calls:
                self._explain(error, values, call, dict(call.named))
            raise
        self._say(unreached)
        return child

    def _check(self, architecture: Mapping[str, Value]) -> Mapping[str, Value]:
        """Check an architecture, and return its values as the space defines them: 3 for 3.0 or a NumPy 3."""
        # An Architecture is frozen: once checked, it stays valid.
        known = self._pass
        if architecture is not known.checked or known.checked is None:
            known.values = self.space.normal(architecture)
            known.checked = architecture if isinstance(architecture, Architecture) else None
        return known.values

    def _explain(
        self, error: Exception, values: Mapping[str, Value], args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> None:
        """Raise an error that explains the error of a pass, if mismatched widths caused it."""
        if not isinstance(error, AsngError) and (reason := explain(self.model, values, args, kwargs)):
            raise reason from error

    def _say(self, unreached: Mapping[str, str]) -> None:
        """Warn about modules that are kept although no call reached them, once for each."""
        trained = [path for path, peer in unreached.items() if not peer and _is_trained(self.model, path)]
        new = {path: peer for path, peer in unreached.items() if path not in (*self._said, *trained)}
        self._said = {*self._said, *new}  # a new set, so that a caller who tries an extraction can undo it
        if not new:
            return
        widths = "".join(f" The width of {path} is {peer}." for path, peer in new.items() if peer)
        warnings.warn(
            f"extract: no call of the example ran {', '.join(new)}. They are kept, because other inputs may "
            f"run them, or a loss may read them.{widths} If calls of the model run them, give these as "
            "example=[Inputs(...), ...].",
            stacklevel=3,
        )


def _is_trained(model: nn.Module, path: str) -> bool:
    """Whether a loss has read a module's own weights, as their gradients tell."""
    return any(weight.grad is not None for weight in model.get_submodule(path).parameters(recurse=False))


def _check_whole(model: nn.Module) -> None:
    """Raise if weights are sharded over processes, as by FSDP, since a child would get only parts of them."""
    for name, parameter in model.named_parameters():
        if type(parameter.data).__name__ == "DTensor" or type(parameter).__name__ in (
            "DTensor",
            "FlatParameter",
        ):
            raise InputError(
                f"{name}: expected whole weights to extract a child from, got sharded ones. If they are from "
                "asng.distributed.shard, extract from asng.distributed.whole(supernet). If not, gather them "
                "with get_model_state_dict(supernet, options=StateDictOptions(full_state_dict=True)), load "
                "these into a new supernet, and extract from that."
            )
