"""Ready supernets: spaces of architectures from the literature, to search in as they are."""

from asng.supernets.enas_cell import EnasCellNetwork
from asng.supernets.enas_graphs import cell_graphs

__all__ = ["EnasCellNetwork", "cell_graphs"]
