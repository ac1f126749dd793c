"""One run of the toy problem written out with torch's SGD and the library's own optimisers."""

import math

import numpy as np
import torch

from asng.experiments.toy.problem import Streams
from asng.optim import ASNG
from asng.settings import GridPoint, ToySettings
from asng.space import Categorical, Space

SMALL = ToySettings(
    variables=4,
    choices=3,
    iterations=150,
    methods=("ASNG", "SNG"),
    exponents=(0.0, 0.5),
    learning_rates=(0.01, 0.2),
)


def one_run(
    settings: ToySettings, cell: GridPoint, seed: int
) -> tuple[dict[str, int | None], np.ndarray, np.ndarray]:
    """Return what `simulate` says of one run of ASNG, and the last x and theta, computed sample by sample."""
    streams = Streams([seed], settings.variables, settings.choices)
    space = Space({f"c{i}": Categorical(range(settings.choices)) for i in range(settings.variables)})
    opt = ASNG.paper(space, delta_init=settings.delta_init(cell.exponent))
    x = torch.tensor(streams.first_weights()[:, :, 0], requires_grad=True)
    sgd = torch.optim.SGD([x], lr=cell.learning_rate, momentum=settings.momentum)
    seen: dict[str, int | None] = dict.fromkeys(["stopped", "right_when_stopped", "found", "settled"])
    for t, draw in enumerate(streams.draws(settings.iterations), start=1):
        sgd.param_groups[0]["lr"] = cell.learning_rate * (1 + math.cos(math.pi * t / settings.iterations)) / 2
        below = [np.cumsum(p)[:-1] for p in opt.theta.values()]
        drawn = [[int(np.sum(b <= v)) for b, v in zip(below, u, strict=True)] for u in draw.u[:, :, 0]]
        z = torch.tensor(draw.z[:, :, 0])
        least = min(loss(x, c, 0 * z[0]).item() for c in drawn[:2])
        sgd.zero_grad()
        (sum(loss(x, c, z[0]) for c in drawn[:2]) / 2).backward()
        sgd.step()
        least = min([least, *(loss(x, c, 0 * z[0]).item() for c in drawn[2:])])
        told = [space.candidate([float(k) for k in c]) for c in drawn[2:]]
        opt.tell(told, [loss(x, c, z[1]).item() for c in drawn[2:]])
        right = sum(max(p[1:]) < p[0] for p in opt.theta.values())
        if least <= 1 / settings.choices and seen["stopped"] is None:
            seen |= {"stopped": t, "right_when_stopped": right}
        seen["settled"] = (seen["settled"] or t) if right == settings.variables else None
        seen["found"] = seen["found"] or seen["settled"]
    theta = np.array(list(opt.theta.values())).T
    return {**seen, "right_at_end": right}, x.detach().numpy(), theta


def loss(x: torch.Tensor, c: list[int], z: torch.Tensor) -> torch.Tensor:
    return ((x[c, range(len(c))] - z) ** 2).sum() + sum(c) / len(x)
