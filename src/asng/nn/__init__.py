"""Searchable modules, whose form an architecture decides, and the supernet that runs them.

`asng.nn.X` is the searchable twin of `torch.nn.X`: it takes the same arguments, and sizes may be variables.
"""

from asng.nn.base import Searchable
from asng.nn.choices.activation import Activation
from asng.nn.choices.choice import Choice
from asng.nn.choices.input_choice import InputChoice
from asng.nn.choices.repeat import Repeat
from asng.nn.compiling import compile_operations
from asng.nn.conversion import Conversion, Importance, WidthGroup, searchable
from asng.nn.inputs import Inputs
from asng.nn.layers.attention import MultiheadAttention
from asng.nn.layers.batch_norm import (
    BatchNorm1d,
    BatchNorm2d,
    BatchNorm3d,
    InstanceNorm1d,
    InstanceNorm2d,
    InstanceNorm3d,
    SyncBatchNorm,
)
from asng.nn.layers.conv import Conv1d, Conv2d, Conv3d
from asng.nn.layers.conv_transpose import ConvTranspose1d, ConvTranspose2d, ConvTranspose3d
from asng.nn.layers.dropout import Dropout
from asng.nn.layers.embedding import Embedding, EmbeddingBag
from asng.nn.layers.linear import Bilinear, Linear, PReLU
from asng.nn.layers.norms import GroupNorm, LayerNorm, RMSNorm
from asng.nn.layers.recurrent import GRU, LSTM, RNN
from asng.nn.layers.stacks import TransformerDecoder, TransformerEncoder
from asng.nn.layers.transformer import TransformerDecoderLayer, TransformerEncoderLayer
from asng.nn.layers.twin import Twin
from asng.nn.selection import following
from asng.nn.supernet import Supernet

__all__ = [
    "Activation",
    "BatchNorm1d",
    "BatchNorm2d",
    "BatchNorm3d",
    "Bilinear",
    "Choice",
    "Conv1d",
    "Conv2d",
    "Conv3d",
    "ConvTranspose1d",
    "ConvTranspose2d",
    "ConvTranspose3d",
    "Conversion",
    "Dropout",
    "Embedding",
    "EmbeddingBag",
    "GRU",
    "WidthGroup",
    "GroupNorm",
    "Importance",
    "InputChoice",
    "Inputs",
    "InstanceNorm1d",
    "InstanceNorm2d",
    "InstanceNorm3d",
    "LSTM",
    "LayerNorm",
    "Linear",
    "MultiheadAttention",
    "PReLU",
    "RMSNorm",
    "RNN",
    "Repeat",
    "Searchable",
    "Supernet",
    "SyncBatchNorm",
    "TransformerDecoder",
    "TransformerDecoderLayer",
    "TransformerEncoder",
    "TransformerEncoderLayer",
    "Twin",
    "compile_operations",
    "following",
    "searchable",
]
