"""From a trained model to a budget, in one call."""

from asng.compression.compress import compress
from asng.compression.result import Compressed, CompressedChild, Network

__all__ = ["Compressed", "CompressedChild", "Network", "compress"]
