"""The paper's symmetric autoencoders."""
