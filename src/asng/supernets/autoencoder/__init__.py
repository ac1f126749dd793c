"""The space of symmetric autoencoders of the ASNG paper."""
