"""Searchable modules: parts of a model that an architecture decides, and the supernet that runs them.

`asng.nn.X` is the searchable twin of `torch.nn.X`: the same arguments, of which sizes may be variables.
"""

from asng.nn.choices.activation import Activation
from asng.nn.choices.choice import Choice
from asng.nn.choices.input_choice import InputChoice
from asng.nn.choices.repeat import Repeat
from asng.nn.compiling import compile_operations
from asng.nn.inputs import Inputs
from asng.nn.layers.attention import MultiheadAttention
from asng.nn.layers.conv import Conv1d, Conv2d
from asng.nn.layers.conv_transpose import ConvTranspose2d
from asng.nn.layers.dropout import Dropout
from asng.nn.layers.embedding import Embedding
from asng.nn.layers.linear import Linear
from asng.nn.layers.norms import BatchNorm1d, BatchNorm2d, GroupNorm, LayerNorm
from asng.nn.layers.transformer import TransformerEncoderLayer
from asng.nn.layers.twin import Twin
from asng.nn.searchable import Searchable, following
from asng.nn.supernet import Supernet

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
    "Inputs",
    "LayerNorm",
    "Linear",
    "MultiheadAttention",
    "Repeat",
    "Searchable",
    "Supernet",
    "TransformerEncoderLayer",
    "Twin",
    "compile_operations",
    "following",
]
