"""Embedding of tokens, singly or in bags."""

from functools import lru_cache
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from asng.checks import integer_at_least
from asng.errors import InputError
from asng.nn.layers.plain import PLANS, Plan
from asng.nn.layers.sizes import Size, check_plain, largest, variables_among
from asng.nn.layers.twin import Twin

__all__ = ["Embedding", "EmbeddingBag"]


class Embedding(Twin, nn.Embedding):
    """torch.nn.Embedding whose width may be a variable.

    Differs: a variable width excludes `max_norm`, which rescales the shared rows in place, so that one width
    would change the others. It also excludes `sparse`, since the gradient of a part is dense.

    Args:
        num_embeddings: Number of tokens, an integer, since the data decide it.
        embedding_dim: Number of output features.
        padding_idx: As in torch.
        max_norm: As in torch; None with a variable width.
        norm_type: As in torch.
        scale_grad_by_freq: As in torch.
        sparse: As in torch; False with a variable width.
        device: As in torch.
        dtype: As in torch.

    Raises:
        InputError: A size is not an integer >= 1, or an option cannot be combined with a variable width.
        SpaceError: The variable may be something other than an integer >= 1.

    Example:
        >>> from asng.nn import Supernet
        >>> from asng.space import Integer
        >>> tokens = Embedding(100, Integer(4, 32, label="width"))
        >>> Supernet(tokens)(torch.tensor([[3, 7]]), architecture={"width": 10}).shape
        torch.Size([1, 2, 10])
    """

    def __init__(
        self,
        num_embeddings: int,
        embedding_dim: Size,
        padding_idx: int | None = None,
        max_norm: float | None = None,
        norm_type: float = 2.0,
        scale_grad_by_freq: bool = False,
        sparse: bool = False,
        device: torch.device | str | None = None,
        dtype: torch.dtype | None = None,
    ) -> None:
        check_plain(num_embeddings=num_embeddings, padding_idx=padding_idx, max_norm=max_norm, device=device)
        check_plain(norm_type=norm_type, scale_grad_by_freq=scale_grad_by_freq, sparse=sparse, dtype=dtype)
        variables = variables_among(embedding_dim=embedding_dim)
        _check_options(variables, max_norm=max_norm is not None, sparse=sparse)
        nn.Embedding.__init__(
            self,
            integer_at_least("num_embeddings", num_embeddings, 1),
            largest("embedding_dim", embedding_dim),
            padding_idx,
            max_norm,
            norm_type,
            scale_grad_by_freq,
            sparse,
            device=device,
            dtype=dtype,
        )
        self.search_variables = variables

    @classmethod
    def from_pretrained(
        cls,
        embeddings: Tensor,
        freeze: bool = True,
        padding_idx: int | None = None,
        max_norm: float | None = None,
        norm_type: float = 2.0,
        scale_grad_by_freq: bool = False,
        sparse: bool = False,
        *,
        embedding_dim: Size | None = None,
    ) -> "Embedding":
        """Return an embedding with given rows, such as those of GloVe.

        Args:
            embeddings: Shape (tokens, features).
            freeze: As in torch: whether the rows are kept fixed.
            padding_idx: As in torch.
            max_norm: As in torch.
            norm_type: As in torch.
            scale_grad_by_freq: As in torch.
            sparse: As in torch.
            embedding_dim: Number of features used, whose largest value must be that of `embeddings`. Default:
                all.

        Example:
            >>> from asng.space import Integer
            >>> width = Integer(1, 3, label="w")
            >>> Embedding.from_pretrained(torch.ones(5, 3), embedding_dim=width).weight.shape
            torch.Size([5, 3])
        """
        given = padding_idx, max_norm, norm_type, scale_grad_by_freq, sparse
        layer = nn.Embedding.from_pretrained(embeddings, freeze, *given)  # type: ignore[no-untyped-call]
        return cls.of(layer, embedding_dim=embeddings.shape[1] if embedding_dim is None else embedding_dim)

    def plan(self, input: Tensor | None = None) -> Plan:
        """Return the plan; the input, integers of any shape, does not matter."""
        return _plan(self.embedding_dim, self.setting("embedding_dim"))

    def forward(self, input: Tensor) -> Tensor:
        """Look up like torch's layer of the current width."""
        plan = self.plan(input)
        if plan.whole:
            return nn.Embedding.forward(self, input)
        (weight,) = plan.parts(self.weight)
        options = self.padding_idx, self.max_norm, self.norm_type, self.scale_grad_by_freq, self.sparse
        return functional.embedding(input, weight, *options)  # type: ignore[arg-type]


class EmbeddingBag(Twin, nn.EmbeddingBag):
    """torch.nn.EmbeddingBag whose width may be a variable.

    Differs: as in `Embedding`, a variable width excludes `max_norm` and `sparse`.

    Args:
        num_embeddings: Number of tokens, an integer, since the data decide it.
        embedding_dim: Number of output features.
        max_norm: As in torch; None with a variable width.
        norm_type: As in torch.
        scale_grad_by_freq: As in torch.
        mode: As in torch: "sum", "mean" or "max".
        sparse: As in torch; False with a variable width.
        include_last_offset: As in torch.
        padding_idx: As in torch.
        device: As in torch.
        dtype: As in torch.

    Raises:
        InputError: A size is not an integer >= 1, or an option cannot be combined with a variable width.
        SpaceError: The variable may be something other than an integer >= 1.

    Example:
        >>> from asng.nn import Supernet
        >>> from asng.space import Integer
        >>> bags = EmbeddingBag(100, Integer(4, 32, label="width"))
        >>> Supernet(bags)(torch.tensor([[3, 7], [1, 1]]), architecture={"width": 10}).shape
        torch.Size([2, 10])
    """

    def __init__(
        self,
        num_embeddings: int,
        embedding_dim: Size,
        max_norm: float | None = None,
        norm_type: float = 2.0,
        scale_grad_by_freq: bool = False,
        mode: str = "mean",
        sparse: bool = False,
        include_last_offset: bool = False,
        padding_idx: int | None = None,
        device: torch.device | str | None = None,
        dtype: torch.dtype | None = None,
    ) -> None:
        check_plain(num_embeddings=num_embeddings, padding_idx=padding_idx, max_norm=max_norm, device=device)
        check_plain(norm_type=norm_type, scale_grad_by_freq=scale_grad_by_freq, sparse=sparse, dtype=dtype)
        check_plain(mode=mode, include_last_offset=include_last_offset)
        variables = variables_among(embedding_dim=embedding_dim)
        _check_options(variables, max_norm=max_norm is not None, sparse=sparse)
        nn.EmbeddingBag.__init__(
            self,
            integer_at_least("num_embeddings", num_embeddings, 1),
            largest("embedding_dim", embedding_dim),
            max_norm,
            norm_type,
            scale_grad_by_freq,
            mode,
            sparse,
            include_last_offset=include_last_offset,
            padding_idx=padding_idx,
            device=device,
            dtype=dtype,
        )
        self.search_variables = variables

    @classmethod
    def from_pretrained(
        cls,
        embeddings: Tensor,
        freeze: bool = True,
        max_norm: float | None = None,
        norm_type: float = 2.0,
        scale_grad_by_freq: bool = False,
        mode: str = "mean",
        sparse: bool = False,
        include_last_offset: bool = False,
        padding_idx: int | None = None,
        *,
        embedding_dim: Size | None = None,
    ) -> "EmbeddingBag":
        """Return bags with given rows; arguments as in torch, and `embedding_dim` as in `Embedding`."""
        given = max_norm, norm_type, scale_grad_by_freq, mode, sparse, include_last_offset, padding_idx
        layer = nn.EmbeddingBag.from_pretrained(embeddings, freeze, *given)
        return cls.of(layer, embedding_dim=embeddings.shape[1] if embedding_dim is None else embedding_dim)

    def plan(self, input: Tensor | None = None, *args: Any, **kwargs: Any) -> Plan:
        """Return the plan; the input does not matter."""
        return _plan(self.embedding_dim, self.setting("embedding_dim"))


@lru_cache(maxsize=PLANS)
def _plan(most: int, width: int) -> Plan:
    # With gaps in memory: rows are only looked up, so that the table need not be copied.
    return Plan({"embedding_dim": width}, {"weight": lambda table: table[:, :width]}, width == most)


def _check_options(variables: object, **given: bool) -> None:
    for name, there in given.items():
        if variables and there:
            raise InputError(f"{name}: expected none with a variable embedding_dim. Leave it out.")
