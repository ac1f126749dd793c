"""Searchable modules: parts of a model that an architecture decides, and the supernet that runs them."""

from asng.nn.choice import Choice
from asng.nn.input_choice import InputChoice
from asng.nn.searchable import Searchable
from asng.nn.supernet import Supernet

__all__ = ["Choice", "InputChoice", "Searchable", "Supernet"]
