"""Tune a function of mixed variables by ask and tell."""

import math

import asng


def loss(architecture: asng.Architecture) -> float:
    rate = math.log10(architecture["rate"]) + 2
    return rate**2 + abs(architecture["layers"] - 5) + 2 * (architecture["activation"] != "gelu")


def main() -> None:
    space = asng.Space(
        {
            "activation": asng.Categorical(["relu", "tanh", "gelu", "silu"]),
            "layers": asng.Integer(1, 12),
            "rate": asng.Real(1e-5, 1.0, log=True),
        }
    )
    opt = asng.ASNG(space, seed=0)
    for _ in range(60):
        candidates = opt.ask()
        opt.tell(candidates, [loss(candidate.architecture) for candidate in candidates])
    print(f"{dict(opt.best)} has loss {loss(opt.best):.3f}; entropy {opt.entropy:.2f}")


if __name__ == "__main__":
    main()
