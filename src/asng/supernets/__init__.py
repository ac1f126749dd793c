"""Ready supernets: spaces of architectures for images, sequences and tables, ready to be searched."""

from asng.supernets.autoencoder.network import ConvAutoencoder
from asng.supernets.autoencoder.wiring import autoencoder_graph
from asng.supernets.enas.cell import EnasCellNetwork
from asng.supernets.enas.retraining import set_drop_path
from asng.supernets.enas.wiring import cell_graphs
from asng.supernets.residual_cnn import ResidualCNN
from asng.supernets.tabular_mlp import TabularMLP
from asng.supernets.transformer.encoder import TransformerEncoder

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
