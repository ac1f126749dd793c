"""The update written slowly, variable by variable, from the paper and docs; spaces to try it on."""

import math

import numpy as np

from asng.space import Categorical, Integer, Real, Space


def slow_utilities(losses):
    lam, mu = len(losses), math.ceil(len(losses) / 4)
    losses = [v if math.isfinite(v) else math.inf for v in losses]
    out = []
    for mine in losses:
        first = sum(v < mine for v in losses)
        ranks = range(first, first + sum(v == mine for v in losses))
        out.append(sum((r < mu) - (r >= lam - mu) for r in ranks) / len(ranks) / mu)
    return out


def slow_categorical(p, draws, u, paper, n_variables, n_free):
    """Return (G, root, projection) of one variable."""
    k = len(p)
    G = [sum(ui * ((c == j) - p[j]) for c, ui in zip(draws, u, strict=True)) / len(draws) for j in range(k)]
    if paper:
        tail = sum(G[:-1]) / (p[-1] + math.sqrt(p[-1]))
        root = [G[j] / math.sqrt(p[j]) + math.sqrt(p[j]) * tail for j in range(k - 1)]
    else:
        root = [G[j] / math.sqrt(p[j]) for j in range(k)]
    floor = min((1 - 0.37 ** (1 / n_free)) / (k - 1), 0.5 / k)
    if paper:
        floor = (1 - 0.73 ** (1 / n_variables)) / (k - 1)
    if paper and 1 / (n_variables * (k - 1)) < 1 / k:
        floor = 1 / (n_variables * (k - 1))

    def project(eps):
        q = [max(p[j] + eps * G[j], floor) for j in range(k)]
        over = sum(q) - 1
        room = sum(q) - k * floor
        q = [v - over * (v - floor) / room for v in q]
        return [v / sum(q) for v in q]

    return root, project


def slow_gaussian(m, std, draws, u, variable, paper):
    """Return (root, move) of one variable, in expectation parameters with paper's rules."""
    n = len(draws)
    G1 = sum(ui * (x - m) for x, ui in zip(draws, u, strict=True)) / n
    G2 = sum(ui * (x * x - m * m - std * std) for x, ui in zip(draws, u, strict=True)) / n
    Gy = sum(ui * ((x - m) ** 2 - std * std) for x, ui in zip(draws, u, strict=True)) / n
    low, high = variable.encode(variable.low), variable.encode(variable.high)
    half = (high - low) / 2
    if paper:
        F = np.array([[4 * m * m + 2 * std * std, -2 * m], [-2 * m, 1]]) / (2 * std**4)
        values, vectors = np.linalg.eigh(F)
        root = vectors @ np.diag(np.sqrt(values)) @ vectors.T @ [G1, G2]
    else:
        root = [G1 / std, Gy / (math.sqrt(2) * std**2)]

    def move(eps):
        mean = min(max(m + eps * G1, low), high)
        if paper:
            var = max(m * m + std * std + eps * G2 - mean * mean, 0.0)
            new = math.sqrt(var)
        else:
            shrink = (eps * G1 / std) ** 2 if isinstance(variable, Integer) else 0.0
            new = std * math.exp((eps * Gy / std**2 - shrink) / 2)
        floor = 1e-6 * (high - low)
        if isinstance(variable, Integer):
            floor = min(0.25 * math.exp(-mean), half) if variable.log else 0.25
        return mean, min(max(new, floor), half)

    return root, move


def slow_step(space, paper, settings, theta, s, gamma, Delta, updates, x, losses, active):
    """Return (theta, s, gamma, Delta); theta maps names to a list or a (mean, std)."""
    u = slow_utilities(losses)
    if not any(u):
        return theta, s, gamma, Delta
    names = list(space)
    choices = [n for n in names if isinstance(space[n], Categorical)]
    ordered = [n for n in names if not isinstance(space[n], Categorical)]
    share = dict.fromkeys(names, 1.0)
    if active is not None and not paper:
        share = {n: sum(row[d] for row in active) / len(active) for d, n in enumerate(names)}
    n_theta = sum((len(space[n].choices) - 1 if n in choices else 2) * share[n] for n in names)
    if n_theta == 0:
        return theta, s, gamma, Delta
    delta = settings.delta_init / Delta
    beta = usual = min(delta / math.sqrt(n_theta), 1)
    if settings.early:
        beta = max(beta, 1 / (updates + 1))
    roots, moves = {}, {}
    for name in names:
        column = names.index(name)
        own = [ui * (1 if active is None else active[i][column]) for i, ui in enumerate(u)]
        own = [w / math.sqrt(share[name]) if share[name] else 0.0 for w in own]
        draws = [row[column] for row in x]
        if name in choices:
            roots[name], moves[name] = slow_categorical(
                theta[name], draws, own, paper, len(choices), len(names)
            )
        else:
            roots[name], moves[name] = slow_gaussian(*theta[name], draws, own, space[name], paper)
    root = [v for n in choices for v in roots[n]]
    root += [roots[n][0] for n in ordered] + [roots[n][1] for n in ordered]
    norm = math.sqrt(sum(v * v for v in root))
    if norm < 1e-12 and not paper:
        return theta, s, gamma, Delta
    if norm < 1e-12:
        root, norm = [0.0] * len(root), 0.0
        theta = {n: moves[n](0.0) for n in names}
    else:
        theta = {n: moves[n](delta / (norm + 1e-9)) for n in names}
    norm += 1e-9
    s = [(1 - beta) * a + math.sqrt(beta * (2 - beta)) * r / norm for a, r in zip(s, root, strict=True)]
    gamma = (1 - beta) ** 2 * gamma + beta * (2 - beta)
    grows = sum(v * v for v in s) > settings.alpha * gamma
    rate = usual
    if settings.early:
        rate = min(1, max(rate, (5 if grows else 1) / (updates + 1)))
    Delta = Delta * math.exp(rate * (gamma - sum(v * v for v in s) / settings.alpha))
    Delta = min(Delta, settings.Delta_max)
    return theta, s, gamma, max(Delta, settings.delta_init / settings.delta_max)


def random_space(rng, kinds=("c", "i", "r", "li", "lr")):
    """Return a space of 1 to 6 free variables of the given kinds, ragged."""
    make = {
        "c": lambda: Categorical(range(int(rng.integers(2, 8)))),
        "i": lambda: Integer(-int(rng.integers(0, 20)), int(rng.integers(1, 20))),
        "r": lambda: Real(-float(rng.random()), float(rng.random()) + 0.5),
        "li": lambda: Integer(1, int(rng.integers(2, 300)), log=True),
        "lr": lambda: Real(1e-3, 1.0, log=True),
    }
    return Space({f"v{i}": make[str(rng.choice(kinds))]() for i in range(int(rng.integers(1, 7)))})
