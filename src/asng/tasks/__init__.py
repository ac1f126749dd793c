"""Tasks: data, supernet, objective and settings put together."""
