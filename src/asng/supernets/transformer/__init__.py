"""A Transformer encoder for sequences."""
