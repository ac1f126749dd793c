"""Run one search in several processes, by torch.distributed: what they divide, and what they agree on."""

from asng.distributed.comm import Comm, LocalComm
from asng.distributed.default_group import mean_over_processes, place_among
from asng.distributed.joining import joined, leads, own_device
from asng.distributed.sharding import shard, whole
from asng.distributed.torch_comm import TorchComm

__all__ = [
    "Comm",
    "LocalComm",
    "TorchComm",
    "joined",
    "leads",
    "mean_over_processes",
    "own_device",
    "place_among",
    "shard",
    "whole",
]
