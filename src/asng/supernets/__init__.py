"""Ready supernets: spaces of architectures for images, sequences and tables, to search in as they are."""

from asng.supernets.autoencoder_graph import autoencoder_graph
from asng.supernets.conv_autoencoder import ConvAutoencoder
from asng.supernets.drop_path import set_drop_path
from asng.supernets.enas_cell import EnasCellNetwork
from asng.supernets.enas_graphs import cell_graphs
from asng.supernets.residual_cnn import ResidualCNN
from asng.supernets.tabular_mlp import TabularMLP
from asng.supernets.transformer_encoder import TransformerEncoder

__all__ = [
    "ConvAutoencoder",
    "EnasCellNetwork",
    "ResidualCNN",
    "TabularMLP",
    "TransformerEncoder",
    "autoencoder_graph",
    "cell_graphs",
    "set_drop_path",
]
