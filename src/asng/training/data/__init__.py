"""Batches from loaders, to the bit the same after a resume."""
