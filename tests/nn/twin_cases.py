"""A case for every twin of a layer of torch. A new one joins by a line."""

import torch
from plain_blocks import Held
from torch import nn

from asng import nn as snn
from asng.space import Categorical, Integer, Real
from asng.testing import LayerCase

WIDTH = Integer(4, 16, label="width", step=4)
KERNEL = Categorical([1, 3, 5], label="kernel")
HEADS = Categorical([1, 2, 4], label="heads")
RATE = Real(0.1, 0.5, label="rate")


def held(layer):
    """Return the layer with a choice behind it, so that every model has something searchable."""
    return Held(layer, snn.Choice([nn.Identity(), nn.Tanh()], label="other"))


def _case(twin, largest, inputs):
    return LayerCase(held(twin), inputs, largest, path="layer", values={"other": 0, "f": "relu"})


def _maps(*widths, sides=(6, 5)):
    return [(torch.randn(3, width, *sides),) for width in widths]


def _sequences(*widths):
    return [(torch.randn(3, 7, width),) for width in widths]


def _thrice(inputs):
    return [(x, x, x) for (x,) in inputs]


CASES = {
    "Linear": lambda: _case(snn.Linear(12, WIDTH), nn.Linear(12, 16), _sequences(12, 5)),
    "Linear, no bias": lambda: _case(
        snn.Linear(WIDTH, 6, bias=False), nn.Linear(16, 6, bias=False), _sequences(16, 8)
    ),
    "Conv1d": lambda: _case(
        snn.Conv1d(8, WIDTH, KERNEL, padding="same", dilation=2),
        nn.Conv1d(8, 16, 5, padding="same", dilation=2),
        _maps(8, 3, sides=(9,)),
    ),
    "Conv1d, two groups": lambda: _case(
        snn.Conv1d(8, WIDTH, 3, groups=2), nn.Conv1d(8, 16, 3, groups=2), _maps(8, 2, sides=(9,))
    ),
    "Conv2d": lambda: _case(
        snn.Conv2d(8, WIDTH, KERNEL, padding="same"), nn.Conv2d(8, 16, 5, padding="same"), _maps(8, 3)
    ),
    "Conv2d, side by side": lambda: _case(
        snn.Conv2d(8, 6, (KERNEL, Integer(1, 4, label="columns")), padding=2),
        nn.Conv2d(8, 6, (5, 4), padding=2),
        _maps(8, 3),
    ),
    "Conv2d, stride": lambda: _case(
        snn.Conv2d(8, WIDTH, KERNEL, stride=2, padding="same", bias=False),
        nn.Conv2d(8, 16, 5, stride=2, padding=2, bias=False),
        _maps(8, 3),
    ),
    "Conv2d, reflected": lambda: _case(
        snn.Conv2d(8, WIDTH, KERNEL, padding="same", padding_mode="reflect"),
        nn.Conv2d(8, 16, 5, padding="same", padding_mode="reflect"),
        _maps(8, 3),
    ),
    "Conv2d, stride, circular": lambda: _case(
        snn.Conv2d(8, WIDTH, KERNEL, stride=2, padding="same", padding_mode="circular"),
        nn.Conv2d(8, 16, 5, stride=2, padding=2, padding_mode="circular"),
        _maps(8, 3),
    ),
    "Conv2d, groups": lambda: _case(
        snn.Conv2d(8, WIDTH, 3, groups=4), nn.Conv2d(8, 16, 3, groups=4), _maps(8, 4)
    ),
    "Conv2d, depthwise": lambda: _case(
        snn.Conv2d(WIDTH, WIDTH, KERNEL, padding="same", groups=WIDTH),
        nn.Conv2d(16, 16, 5, padding="same", groups=16),
        _maps(16, 5),
    ),
    "Conv2d, depthwise, two each": lambda: _case(
        snn.Conv2d(8, 16, 3, groups=8), nn.Conv2d(8, 16, 3, groups=8), _maps(8, 5)
    ),
    "Conv2d, channels last": lambda: _case(
        snn.Conv2d(8, WIDTH, KERNEL, padding="same").to(memory_format=torch.channels_last),
        nn.Conv2d(8, 16, 5, padding="same").to(memory_format=torch.channels_last),
        [(x.to(memory_format=torch.channels_last),) for (x,) in _maps(8, 3)],
    ),
    "ConvTranspose2d": lambda: _case(
        snn.ConvTranspose2d(8, WIDTH, KERNEL, stride=2, output_padding=1),
        nn.ConvTranspose2d(8, 16, 5, stride=2, output_padding=1),
        _maps(8, 3),
    ),
    "ConvTranspose2d, same": lambda: _case(
        snn.ConvTranspose2d(8, WIDTH, KERNEL, stride=2, padding="same"),
        nn.ConvTranspose2d(8, 16, 5, stride=2, padding=2, output_padding=1),
        _maps(8, 3),
    ),
    "ConvTranspose2d, groups": lambda: _case(
        snn.ConvTranspose2d(8, WIDTH, 3, groups=4), nn.ConvTranspose2d(8, 16, 3, groups=4), _maps(8, 4)
    ),
    "ConvTranspose2d, depthwise": lambda: _case(
        snn.ConvTranspose2d(8, 16, 3, groups=8, dilation=2),
        nn.ConvTranspose2d(8, 16, 3, groups=8, dilation=2),
        _maps(8, 5),
    ),
    "BatchNorm1d": lambda: _case(
        snn.BatchNorm1d(WIDTH), nn.BatchNorm1d(16, track_running_stats=False), _maps(16, 6, sides=())
    ),
    "BatchNorm2d": lambda: _case(
        snn.BatchNorm2d(16, eps=0.1), nn.BatchNorm2d(16, eps=0.1, track_running_stats=False), _maps(16, 6)
    ),
    "BatchNorm2d, not affine": lambda: _case(
        snn.BatchNorm2d(16, affine=False),
        nn.BatchNorm2d(16, affine=False, track_running_stats=False),
        _maps(16, 6),
    ),
    "LayerNorm": lambda: _case(snn.LayerNorm(WIDTH), nn.LayerNorm(16), _sequences(16, 6)),
    "LayerNorm of two dimensions": lambda: _case(
        snn.LayerNorm((7, 16), bias=False), nn.LayerNorm((7, 16), bias=False), _sequences(16, 6)
    ),
    "GroupNorm": lambda: _case(
        snn.GroupNorm(Categorical([1, 2, 4], label="groups"), 16), nn.GroupNorm(4, 16), _maps(16, 8)
    ),
    "Embedding": lambda: _case(
        snn.Embedding(11, WIDTH, padding_idx=0),
        nn.Embedding(11, 16, padding_idx=0),
        [(torch.randint(0, 11, (3, 7)),)],
    ),
    "MultiheadAttention": lambda: _case(
        snn.MultiheadAttention(16, HEADS, RATE, batch_first=True),
        nn.MultiheadAttention(16, 4, 0.5, batch_first=True),
        _thrice(_sequences(16, 8, 4)),
    ),
    "MultiheadAttention of keys of another width": lambda: _case(
        snn.MultiheadAttention(16, HEADS, bias=False, add_bias_kv=True, kdim=12, vdim=10),
        nn.MultiheadAttention(16, 4, bias=False, add_bias_kv=True, kdim=12, vdim=10),
        [
            (torch.randn(7, 3, 16), torch.randn(5, 3, 12), torch.randn(5, 3, 10)),
            (torch.randn(7, 3, 8), torch.randn(5, 3, 9), torch.randn(5, 3, 7)),
        ],
    ),
    "TransformerEncoderLayer": lambda: _case(
        snn.TransformerEncoderLayer(
            16, HEADS, Integer(5, 20, label="hidden"), RATE, Categorical(["relu", "gelu"], label="f")
        ),
        nn.TransformerEncoderLayer(16, 4, 20, 0.5),
        _sequences(16, 8),
    ),
    "TransformerEncoderLayer, norm first": lambda: _case(
        snn.TransformerEncoderLayer(16, HEADS, 20, activation=nn.SiLU(), batch_first=True, norm_first=True),
        nn.TransformerEncoderLayer(16, 4, 20, activation=nn.SiLU(), batch_first=True, norm_first=True),
        _sequences(16, 8),
    ),
    "Conv3d": lambda: _case(
        snn.Conv3d(4, WIDTH, Categorical([1, 3], label="kernel"), padding="same"),
        nn.Conv3d(4, 16, 3, padding="same"),
        _maps(4, 3, sides=(4, 3, 5)),
    ),
    "ConvTranspose1d": lambda: _case(
        snn.ConvTranspose1d(8, WIDTH, KERNEL, stride=2, padding="same"),
        nn.ConvTranspose1d(8, 16, 5, stride=2, padding=2, output_padding=1),
        _maps(8, 3, sides=(6,)),
    ),
    "ConvTranspose3d": lambda: _case(
        snn.ConvTranspose3d(4, WIDTH, 2, groups=2),
        nn.ConvTranspose3d(4, 16, 2, groups=2),
        _maps(4, 2, sides=(3, 2, 3)),
    ),
    "BatchNorm3d": lambda: _case(
        snn.BatchNorm3d(WIDTH), nn.BatchNorm3d(16, track_running_stats=False), _maps(16, 6, sides=(2, 3, 2))
    ),
    "SyncBatchNorm": lambda: _case(
        snn.SyncBatchNorm(WIDTH), nn.SyncBatchNorm(16, track_running_stats=False), _maps(16, 6)
    ),
    "InstanceNorm1d": lambda: _case(
        snn.InstanceNorm1d(WIDTH, affine=True), nn.InstanceNorm1d(16, affine=True), _maps(16, 6, sides=(9,))
    ),
    "InstanceNorm2d": lambda: _case(snn.InstanceNorm2d(WIDTH), nn.InstanceNorm2d(16), _maps(16, 6)),
    "InstanceNorm3d": lambda: _case(
        snn.InstanceNorm3d(16, affine=True), nn.InstanceNorm3d(16, affine=True), _maps(16, 6, sides=(2, 3, 2))
    ),
    "RMSNorm": lambda: _case(snn.RMSNorm(WIDTH), nn.RMSNorm(16), _sequences(16, 6)),
    "EmbeddingBag": lambda: _case(
        snn.EmbeddingBag(11, WIDTH, padding_idx=0),
        nn.EmbeddingBag(11, 16, padding_idx=0),
        [(torch.randint(0, 11, (3, 7)),)],
    ),
    "EmbeddingBag, greatest of a bag": lambda: _case(
        snn.EmbeddingBag(11, WIDTH, mode="max"),
        nn.EmbeddingBag(11, 16, mode="max"),
        [(torch.randint(0, 11, (3, 9)),)],
    ),
    "PReLU": lambda: _case(snn.PReLU(WIDTH), nn.PReLU(16), _maps(16, 6)),
    "PReLU, one slope": lambda: _case(snn.PReLU(), nn.PReLU(), _maps(16, 6)),
    "Bilinear": lambda: _case(
        snn.Bilinear(6, 5, WIDTH),
        nn.Bilinear(6, 5, 16),
        [(torch.randn(3, 6), torch.randn(3, 5)), (torch.randn(3, 4), torch.randn(3, 2))],
    ),
    "LSTM": lambda: _case(
        snn.LSTM(12, WIDTH, Integer(1, 3, label="layers"), batch_first=True, bidirectional=True),
        nn.LSTM(12, 16, 3, batch_first=True, bidirectional=True),
        _sequences(12, 5),
    ),
    "GRU": lambda: _case(
        snn.GRU(12, WIDTH, Integer(2, 3, label="layers"), batch_first=True, dropout=RATE),
        nn.GRU(12, 16, 3, batch_first=True, dropout=0.5),
        _sequences(12, 5),
    ),
    "RNN": lambda: _case(
        snn.RNN(12, WIDTH, nonlinearity="relu", batch_first=True, bidirectional=True),
        nn.RNN(12, 16, nonlinearity="relu", batch_first=True, bidirectional=True),
        _sequences(12, 5),
    ),
    "TransformerDecoderLayer": lambda: _case(
        snn.TransformerDecoderLayer(
            16, HEADS, Integer(5, 20, label="hidden"), RATE, Categorical(["relu", "gelu"], label="f")
        ),
        nn.TransformerDecoderLayer(16, 4, 20, 0.5),
        [(x, torch.randn(3, 7, x.shape[-1])) for (x,) in _sequences(16, 8)],
    ),
    "TransformerEncoder": lambda: _case(
        snn.TransformerEncoder(
            snn.TransformerEncoderLayer(16, HEADS, Integer(5, 20, label="hidden"), batch_first=True),
            Integer(1, 3, label="depth"),
            snn.LayerNorm(16),
        ),
        nn.TransformerEncoder(
            nn.TransformerEncoderLayer(16, 4, 20, batch_first=True),
            3,
            nn.LayerNorm(16),
            enable_nested_tensor=False,
        ),
        _sequences(16, 8),
    ),
    "TransformerEncoder of plain layers": lambda: _case(
        snn.TransformerEncoder(
            nn.TransformerEncoderLayer(16, 4, 20, batch_first=True), Integer(1, 3, label="depth")
        ),
        nn.TransformerEncoder(
            nn.TransformerEncoderLayer(16, 4, 20, batch_first=True), 3, enable_nested_tensor=False
        ),
        _sequences(16),
    ),
    "TransformerDecoder": lambda: _case(
        snn.TransformerDecoder(
            snn.TransformerDecoderLayer(16, HEADS, 20, norm_first=True), Integer(1, 2, label="depth")
        ),
        nn.TransformerDecoder(nn.TransformerDecoderLayer(16, 4, 20, norm_first=True), 2),
        [(x, torch.randn(3, 7, x.shape[-1])) for (x,) in _sequences(16, 8)],
    ),
    "Linear, twice a width": lambda: _case(
        snn.Linear(12, 2 * Integer(2, 8, label="half")), nn.Linear(12, 16), _sequences(12, 5)
    ),
    "Dropout": lambda: _case(snn.Dropout(RATE), nn.Dropout(0.5), _sequences(16)),
}
