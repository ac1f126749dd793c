"""A choice among tensors."""

from collections.abc import Callable, Sequence
from functools import reduce as fold
from operator import add

import torch
from torch import Tensor, fx, nn

from asng.checks import integer_at_least, one_of
from asng.errors import InputError
from asng.nn.base import Extraction, Searchable
from asng.space import Categorical, Variable

__all__ = ["InputChoice"]

_REDUCTIONS: dict[str, Callable[[list[Tensor]], Tensor]] = {
    "sum": lambda chosen: fold(add, chosen),
    "mean": lambda chosen: fold(add, chosen) / len(chosen),
    "concat": lambda chosen: torch.cat(chosen, dim=1),
}


class InputChoice(Searchable):
    """Pass on some of several tensors, the ones that the architecture names.

    It makes connections searchable: call it on the outputs of earlier modules. If inputs are
    expensive to compute, ask `chosen()` first and compute only those.

    Args:
        n_inputs: Number of tensors to choose from, at least 1.
        n_chosen: Number of tensors chosen, at least 1. Each is a variable of its own, so that one tensor
            may be chosen more than once, as in the cells of ENAS.
        reduce: How to combine several tensors: "sum", "mean", or "concat" along dimension 1.
        label: Name of the variable; if there are several, "<label>.input1", "<label>.input2", ...
            Default: the path of this module in the model.

    Raises:
        InputError: An argument is out of its range.

    Example:
        >>> import torch
        >>> from asng.nn import Supernet
        >>> class Skip(torch.nn.Module):
        ...     def __init__(self):
        ...         super().__init__()
        ...         self.source = InputChoice(2, label="source")
        ...     def forward(self, x):
        ...         return self.source([x, torch.relu(x)])
        >>> Supernet(Skip())(torch.tensor([-1.0, 1.0]), architecture={"source": 1})
        tensor([0., 1.])
    """

    def __init__(
        self, n_inputs: int, n_chosen: int = 1, *, reduce: str = "sum", label: str | None = None
    ) -> None:
        super().__init__()
        self.n_inputs = integer_at_least("n_inputs", n_inputs, 1)
        self.n_chosen = integer_at_least("n_chosen", n_chosen, 1)
        self.reduce = one_of("reduce", reduce, _REDUCTIONS)
        self.label = label
        self._slots = ["input"] if n_chosen == 1 else [f"input{i}" for i in range(1, n_chosen + 1)]

    def variables(self) -> dict[str, Variable]:
        """Return slot "input", or slots "input1", "input2", ... if several tensors are chosen."""
        indices = range(self.n_inputs)
        if self.label is None or self.n_chosen == 1:
            return {slot: Categorical(indices, label=self.label) for slot in self._slots}
        return {slot: Categorical(indices, label=f"{self.label}.{slot}") for slot in self._slots}

    def chosen(self) -> tuple[int, ...]:
        """Return the indices that the current architecture names, `n_chosen` of them.

        Raises:
            InputError: No supernet is running.
        """
        return tuple(int(self.value(slot)) for slot in self._slots)  # type: ignore[arg-type]

    def forward(self, inputs: Sequence[Tensor]) -> Tensor:
        """Return the chosen tensor, or several combined by `reduce`.

        Args:
            inputs: `n_inputs` tensors; those chosen together must have shapes that `reduce` can combine.

        Raises:
            InputError: The number of tensors is not `n_inputs`.
        """
        if len(inputs) != self.n_inputs:
            raise InputError(f"inputs: expected n_inputs = {self.n_inputs} tensors, got {len(inputs)}.")
        return self._joined(inputs)

    def extract(self, extraction: Extraction) -> nn.Module:
        """Return a plain torch module that selects and combines the tensors."""
        # Traced as a function of one argument, so that the trace only indexes the sequence.
        traced = fx.symbolic_trace(lambda inputs: self._joined(inputs))
        return fx.GraphModule({}, traced.graph, class_name="Inputs").train(self.training)

    def _joined(self, inputs: Sequence[Tensor]) -> Tensor:
        chosen = [inputs[i] for i in self.chosen()]
        return chosen[0] if len(chosen) == 1 else _REDUCTIONS[self.reduce](chosen)
