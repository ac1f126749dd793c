"""Convert a trained model to a supernet: find the sizes that can be searched, and prove that they can."""

from asng.nn.conversion.coupling import Coupling, coupled
from asng.nn.conversion.depth import DepthGroup, reduced, with_depths
from asng.nn.conversion.importance import Importance, Order
from asng.nn.conversion.numbers import all_roles, numbers_in
from asng.nn.conversion.passes import Refused, outputs_of, shaken
from asng.nn.conversion.proof import ChannelCut, cut_of, left_of
from asng.nn.conversion.reach import REMEDY, as_told, reach_of
from asng.nn.conversion.recognition import roles_in, tensors_in
from asng.nn.conversion.roles import Role, role_of
from asng.nn.conversion.searchable import Conversion, python_of, searchable
from asng.nn.conversion.skipping import SkipTrial
from asng.nn.conversion.widths import WidthGroup

__all__ = [
    "REMEDY",
    "ChannelCut",
    "Conversion",
    "Coupling",
    "DepthGroup",
    "Importance",
    "Order",
    "Refused",
    "Role",
    "SkipTrial",
    "WidthGroup",
    "all_roles",
    "as_told",
    "coupled",
    "cut_of",
    "left_of",
    "numbers_in",
    "outputs_of",
    "python_of",
    "reach_of",
    "reduced",
    "role_of",
    "roles_in",
    "searchable",
    "shaken",
    "tensors_in",
    "with_depths",
]
