"""Networks of graphs, tables and tokens: of torch_geometric, rtdl and x-transformers."""

from typing import Any

import rtdl_revisiting_models as rtdl
import torch
import torch_geometric.nn as geometric
from torch import Tensor
from torch_geometric.data import Batch, Data
from x_transformers import Decoder, Encoder, TransformerWrapper

import asng
from asng import nn as snn
from benchmarks.zoo.entry import Entry, pair_loss, tokens

__all__ = ["ENTRIES"]


# --- graphs --------------------------------------------------------------------------------------------


def graphs(n: int) -> Any:
    """Return graphs of five nodes on a ring, with a class for each node."""
    ring = torch.stack([torch.arange(5), torch.arange(1, 6) % 5])
    items = [Data(x=torch.randn(5, 4), edge_index=ring, y=torch.randint(0, 3, (5,))) for _ in range(n)]
    return Batch.from_data_list(items)


def nodes(batch: Any) -> tuple[Tensor, Tensor]:
    """Return the inputs of a network in a batch of graphs."""
    return batch.x, batch.edge_index


def graph_loss(forward: Any, batch: Any) -> Tensor:
    """Return the cross-entropy over nodes."""
    return torch.nn.functional.cross_entropy(forward(*nodes(batch)), batch.y)


def search_gcn(model: Any) -> None:
    """Search in GCN the convolution of the second layer, among those that take edge weights."""
    kinds = {name: getattr(geometric, name)(8, 3) for name in ("GCNConv", "GraphConv", "TAGConv", "SGConv")}
    model.convs[1] = snn.Choice(kinds, label="convolution")


def search_sage(model: Any) -> None:
    """Search in GraphSAGE the same, among convolutions without edge weights."""
    kinds = {"SAGEConv": geometric.SAGEConv(8, 3), "ClusterGCNConv": geometric.ClusterGCNConv(8, 3)}
    kinds["SAGEConv, max"] = geometric.SAGEConv(8, 3, aggr="max")
    model.convs[1] = snn.Choice(kinds, label="convolution")


def search_gat(model: Any) -> None:
    """Search in GAT the same, among convolutions with attention."""
    kinds = {name: getattr(geometric, name)(8, 3) for name in ("GATConv", "GATv2Conv", "TransformerConv")}
    model.convs[1] = snn.Choice(kinds, label="convolution")


def search_gin(model: Any) -> None:
    """Search in GIN the inner width of each perceptron."""
    for number, layer in enumerate(model.convs):
        first, last = layer.nn.lins
        width = asng.Integer(2, first.out_channels, label=f"inner{number}")
        layer.nn.lins[0] = snn.Linear(first.in_channels, width)
        layer.nn.norms[0] = snn.BatchNorm1d(first.out_channels)
        layer.nn.lins[1] = snn.Linear(last.in_channels, last.out_channels)


# --- tables --------------------------------------------------------------------------------------------


def rows(n: int) -> tuple[Tensor, Tensor]:
    """Return rows of four numbers, each with a target."""
    return torch.randn(n, 4), torch.randn(n, 1)


def mixed_rows(n: int) -> tuple[Tensor, None, Tensor]:
    """Return the same rows, with no categorical features."""
    return torch.randn(n, 4), None, torch.randn(n, 1)


def without_target(batch: Any) -> Any:
    """Return the inputs of a network in such a batch."""
    return batch[:-1]


def search_mlp(model: Any) -> None:
    """Search in rtdl's MLP the width of each block."""
    into, wide = 4, [asng.Integer(4, 16, label=f"width{number}") for number in range(2)]
    for block, width in zip(model.blocks, wide, strict=True):
        block.linear, into = snn.Linear(into, width), 16
    model.output = snn.Linear(16, 1)


def search_rtdl_resnet(model: Any) -> None:
    """Search in rtdl's ResNet the inner width of each block."""
    for number, block in enumerate(model.blocks):
        block.linear1 = snn.Linear(16, asng.Integer(4, 32, label=f"inner{number}"))
        block.linear2 = snn.Linear(32, 16)


def search_ft_transformer(model: Any) -> None:
    """Search in FT-Transformer a width that is a multiple of two, since its activation halves it."""
    for number, block in enumerate(model.backbone.blocks):
        block.ffn.linear1 = snn.Linear(16, asng.Integer(4, 64, label=f"ffn{number}", step=2))
        block.ffn.linear2 = snn.Linear(32, 16)


def ft_transformer() -> Any:
    """Return an FT-Transformer."""
    rates = {"attention_dropout": 0.1, "ffn_dropout": 0.0, "residual_dropout": 0.0}
    inner = {"ffn_d_hidden": None, "ffn_d_hidden_multiplier": 2, "attention_n_heads": 2}
    return rtdl.FTTransformer(
        n_cont_features=4, cat_cardinalities=[], d_out=1, n_blocks=2, d_block=16, **rates, **inner
    )


def rtdl_resnet() -> Any:
    """Return a ResNet of rtdl."""
    inner = {"d_hidden": None, "d_hidden_multiplier": 2.0, "dropout1": 0.1, "dropout2": 0.0}
    return rtdl.ResNet(d_in=4, d_out=1, n_blocks=2, d_block=16, **inner)


# --- tokens --------------------------------------------------------------------------------------------


def token_rows(n: int) -> tuple[Tensor, Tensor]:
    """Return tokens, with numbers for each."""
    return tokens(n), torch.randn(n, 7, 99)


def search_x_transformers(model: Any) -> None:
    """Search in x-transformers the width of all feed-forward parts."""
    for _, part, _ in model.attn_layers.layers:
        if hasattr(part, "ff"):
            part.ff[0][0] = snn.Linear(32, asng.Integer(16, 128, label="ffn", step=16))
            part.ff[2] = snn.Linear(128, 32)


def x_transformers(layers: Any) -> Any:
    """Return a Transformer over tokens."""
    return TransformerWrapper(num_tokens=99, max_seq_len=16, attn_layers=layers(dim=32, depth=2, heads=2))


NO_CONFIG = "it has no config, and no save_pretrained"
GRAPHS: dict[str, Any] = {"loss": graph_loss, "inputs": nodes, "reason": NO_CONFIG}
ROWS: dict[str, Any] = {"loss": pair_loss, "inputs": without_target, "reason": NO_CONFIG}

ENTRIES = [
    Entry("GCN", "torch_geometric", lambda: geometric.GCN(4, 8, 2, 3), search_gcn, graphs, **GRAPHS),
    Entry(
        "GraphSAGE", "torch_geometric", lambda: geometric.GraphSAGE(4, 8, 2, 3), search_sage, graphs, **GRAPHS
    ),
    Entry("GAT", "torch_geometric", lambda: geometric.GAT(4, 8, 2, 3), search_gat, graphs, **GRAPHS),
    Entry("GIN", "torch_geometric", lambda: geometric.GIN(4, 8, 2, 3), search_gin, graphs, **GRAPHS),
    Entry(
        "MLP",
        "rtdl",
        lambda: rtdl.MLP(d_in=4, d_out=1, n_blocks=2, d_block=16, dropout=0.1),
        search_mlp,
        rows,
        **ROWS,
    ),
    Entry("ResNet", "rtdl", rtdl_resnet, search_rtdl_resnet, rows, **ROWS),
    Entry("FT-Transformer", "rtdl", ft_transformer, search_ft_transformer, mixed_rows, **ROWS),
    Entry(
        "decoder",
        "x-transformers",
        lambda: x_transformers(Decoder),
        search_x_transformers,
        token_rows,
        **ROWS,
    ),
    Entry(
        "encoder",
        "x-transformers",
        lambda: x_transformers(Encoder),
        search_x_transformers,
        token_rows,
        **ROWS,
    ),
]
