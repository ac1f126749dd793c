"""Choices among modules, activations, inputs and depths."""
