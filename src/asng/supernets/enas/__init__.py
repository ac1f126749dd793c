"""The cell space of ENAS, as the ASNG paper searches it."""
