"""A device that is not the CPU, for machines that have no other: it computes on the CPU, but refuses to mix.

    from benchmarks.other_device import load

    device = load()
    nn.Linear(3, 5).to(device)(torch.ones(2, 3))  # RuntimeError: as on a GPU, the input is elsewhere

torch calls such a device a private backend. `device.cpp` is compiled at the first use, which takes g++,
ninja and a minute. Every operation runs torch's own function for the CPU on the same memory. An operation
whose tensors are on both devices is an error, with torch's exceptions: numbers without dimensions, and
indices.

It has no streams, no pinned memory and no autocast. `torch.export` does not know it, and torch's LSTM and GRU
need functions that only a GPU has.
"""

import types
from contextlib import nullcontext
from functools import cache
from pathlib import Path

import torch

__all__ = ["load"]

NAME = "elsewhere"


@cache
def load() -> torch.device:
    """Compile and register the device, and return it."""
    from torch.utils import cpp_extension

    torch.utils.rename_privateuse1_backend(NAME)
    functions = {
        "is_available": lambda: True,
        "is_initialized": lambda: True,
        "device_count": lambda: 1,
        "current_device": lambda: 0,
        "set_device": lambda device: None,
        "synchronize": lambda *args: None,
        "device": lambda device: nullcontext(),
        "get_rng_state": lambda device=NAME: torch.get_rng_state(),  # numbers come from the CPU's generator
        "set_rng_state": lambda state, device=NAME: None,
        "manual_seed": lambda seed: None,
        "manual_seed_all": lambda seed: None,
        "get_amp_supported_dtype": lambda: [torch.bfloat16],
        "_is_in_bad_fork": lambda: False,
        "_lazy_init": lambda: None,
    }
    module = types.ModuleType(f"torch.{NAME}")
    vars(module).update(functions)
    torch._register_device_module(NAME, module)
    source = Path(__file__).with_name("device.cpp")
    cpp_extension.load("asng_other_device", [str(source)], extra_cflags=["-O1", "-w"])
    torch.utils.generate_methods_for_privateuse1_backend(for_storage=True)
    return torch.device(NAME, 0)
