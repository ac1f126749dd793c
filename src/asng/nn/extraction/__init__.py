"""From a supernet to a plain network."""
