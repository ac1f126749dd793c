"""torch's default process group, as made by a trainer that is not ours."""

import torch
import torch.distributed as dist

__all__ = ["mean_over_processes", "place_among"]


def place_among() -> tuple[int, int]:
    """Return the rank of this process in the default group, and the size of the group.

    Example:
        >>> place_among()
        (0, 1)
    """
    if not (dist.is_available() and dist.is_initialized()):
        return 0, 1
    return dist.get_rank(), dist.get_world_size()


def mean_over_processes(values: list[float], device: torch.device) -> list[float]:
    """Return the means over all processes of the default group, bit by bit the same in each.

    Args:
        values: The values of this process; all processes have equally many.
        device: Where the backend of the group computes.

    Example:
        >>> mean_over_processes([1.0, 2.0], torch.device("cpu"))
        [1.0, 2.0]
    """
    _, size = place_among()
    if size == 1:
        return values
    total = torch.tensor(values, dtype=torch.float64, device=device)
    dist.all_reduce(total)
    return [float(value) for value in (total / size).tolist()]
