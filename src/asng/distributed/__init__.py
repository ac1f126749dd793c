"""Several processes of one search, by torch.distributed: what they divide, and what they agree on."""

from asng.distributed.comm import Comm, LocalComm
from asng.distributed.joining import joined, leads, own_device
from asng.distributed.torch_comm import TorchComm

__all__ = ["Comm", "LocalComm", "TorchComm", "joined", "leads", "own_device"]
