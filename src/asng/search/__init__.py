"""One-shot search: train a supernet and the distribution over its architectures together."""

from asng.search.callbacks import Callback
from asng.search.limit import StepLimit
from asng.search.loop import Loop
from asng.search.one_shot import OneShotSearch
from asng.search.result import SearchResult
from asng.search.stopping import StopRule
from asng.training import save_onnx, save_program

__all__ = [
    "Callback",
    "Loop",
    "OneShotSearch",
    "SearchResult",
    "StepLimit",
    "StopRule",
    "save_onnx",
    "save_program",
]
