"""Embedding of tokens."""

import torch
from torch import Tensor, nn

from asng.checks import integer_at_least
from asng.errors import InputError
from asng.nn.layers.plain import shell
from asng.nn.layers.sizes import Size, largest, variables_among
from asng.nn.layers.twin import Twin

__all__ = ["Embedding"]


class Embedding(Twin, nn.Embedding):
    """torch.nn.Embedding whose width may be a variable.

    Differs: with a variable width there is neither `max_norm`, which rescales the shared rows in place, so
    that one width would change the others, nor `sparse`, since the gradient of a part is dense.

    Args:
        num_embeddings: Number of tokens, an integer: the data decide it.
        embedding_dim: Features of the output.
        padding_idx: As in torch.
        max_norm: As in torch; None with a variable width.
        norm_type: As in torch.
        scale_grad_by_freq: As in torch.
        sparse: As in torch; False with a variable width.
        device: As in torch.
        dtype: As in torch.

    Raises:
        InputError: A size is no integer >= 1, or an option does not go with a variable width.
        SpaceError: The variable stands for something else than integers >= 1.

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
        variables = variables_among(embedding_dim=embedding_dim)
        for name, given in (("max_norm", max_norm is not None), ("sparse", sparse)):
            if variables and given:
                raise InputError(f"{name}: expected none with a variable embedding_dim. Leave it out.")
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

    def plain(self, input: Tensor | None = None) -> nn.Module:
        """Return the plain layer; the input, integers of any shape, does not matter."""
        width = self.setting("embedding_dim")
        if width == self.embedding_dim:
            return self
        # With gaps in memory: rows are looked up, not computed with, so that the table need not be copied.
        weights = {"weight": self.weight[:, :width]}
        return shell(self, weights, {"embedding_dim": width})
