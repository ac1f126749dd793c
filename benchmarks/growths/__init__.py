"""The parts of the benchmark of growth."""
