"""Batches from loaders, bit by bit the same after a resume."""
