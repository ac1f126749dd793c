"""A Transformer encoder of sequences."""
