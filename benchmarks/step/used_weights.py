"""How much larger a candidate's gradients are than the parts of weights it uses, in the paper's autoencoder.

python -m benchmarks.step.used_weights

A cut weight gets a gradient of its whole size. The momentum of a weight is allocated at its first use, and
kept. Sizes are counted on the meta device, without numbers.
"""

import argparse
import random
import statistics

from benchmarks.measuring import spread
from benchmarks.record import write
from benchmarks.step.counting import OnDevice
from benchmarks.step.spaces import SPACES

FLOAT_MB = 4e-6


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--architectures", type=int, default=24)
    arguments = parser.parse_args()
    setting = OnDevice.of(SPACES["autoencoder"])
    home, supernet = setting.at_home(), setting.supernet().train()
    images, _ = next(iter(setting.loader(1)))
    draw, weights = random.Random(0), list(supernet.parameters())
    gradients, used = [], []
    for _ in range(arguments.architectures):
        architecture = supernet.space.sample(draw)
        supernet.zero_grad(set_to_none=True)
        supernet(images.to(setting.device), architecture=architecture).sum().backward()
        gradients.append(FLOAT_MB * sum(p.grad.numel() for p in weights if p.grad is not None))
        child = home.extract(architecture, example=images)
        used.append(FLOAT_MB * sum(p.numel() for p in child.parameters()))
    figures = {
        "architectures": arguments.architectures,
        "supernet_mb": round(FLOAT_MB * sum(p.numel() for p in weights), 1),
        "gradients_mb": spread(gradients),
        "used_mb": spread(used),
        "gradients_over_used": round(statistics.fmean(gradients) / statistics.fmean(used), 3),
    }
    print(figures)
    print(write("used_weights", figures))


if __name__ == "__main__":
    main()
