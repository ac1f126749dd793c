"""The parts of the benchmark of a search step."""
