"""Searchable modules: parts of a model that an architecture decides, and the supernet that runs them.

`asng.nn.X` is the searchable twin of `torch.nn.X`: the same arguments, of which sizes may be variables.
"""

from asng.nn.activation import Activation
from asng.nn.attention import MultiheadAttention
from asng.nn.batch_norm import BatchNorm1d, BatchNorm2d
from asng.nn.choice import Choice
from asng.nn.compiling import compile_operations
from asng.nn.conv import Conv1d, Conv2d
from asng.nn.conv_transpose import ConvTranspose2d
from asng.nn.dropout import Dropout
from asng.nn.embedding import Embedding
from asng.nn.input_choice import InputChoice
from asng.nn.linear import Linear
from asng.nn.norms import GroupNorm, LayerNorm
from asng.nn.repeat import Repeat
from asng.nn.searchable import Searchable
from asng.nn.supernet import Supernet
from asng.nn.transformer import TransformerEncoderLayer
from asng.nn.twin import Twin

__all__ = [
    "Activation",
    "BatchNorm1d",
    "BatchNorm2d",
    "Choice",
    "Conv1d",
    "Conv2d",
    "ConvTranspose2d",
    "Dropout",
    "Embedding",
    "GroupNorm",
    "InputChoice",
    "LayerNorm",
    "Linear",
    "MultiheadAttention",
    "Repeat",
    "Searchable",
    "Supernet",
    "TransformerEncoderLayer",
    "Twin",
    "compile_operations",
]
