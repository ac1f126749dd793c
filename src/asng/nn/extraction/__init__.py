"""Extract a plain network from a supernet."""
