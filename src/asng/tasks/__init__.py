"""Ready tasks: each combines data, supernet, objective and settings."""
