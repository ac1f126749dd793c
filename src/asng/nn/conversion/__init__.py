"""From a trained model to a supernet: which of its sizes can be searched, and the proof that they can."""

from asng.nn.conversion.coupling import Coupling, coupled
from asng.nn.conversion.importance import Importance, Order
from asng.nn.conversion.proof import ChannelCut, Refused, cut_of, left_of, outputs_of, shaken
from asng.nn.conversion.roles import Role, role_of, roles_in
from asng.nn.conversion.searchable import Conversion, WidthGroup, searchable

__all__ = [
    "ChannelCut",
    "Conversion",
    "Coupling",
    "Importance",
    "Order",
    "Refused",
    "Role",
    "WidthGroup",
    "coupled",
    "cut_of",
    "left_of",
    "outputs_of",
    "role_of",
    "roles_in",
    "searchable",
    "shaken",
]
