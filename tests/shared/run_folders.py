"""Synthetic run folders, as a search writes them."""

import json
import math
import random
from pathlib import Path

OPERATIONS = ["sep 3x3", "sep 5x5", "avg pool", "max pool", "identity"]


def enas_space(nodes=5, cells=("normal", "reduction")):
    space = {}
    for cell in cells:
        for node in range(1, nodes + 1):
            inputs = ["cell-2", "cell-1", *(f"node{k}" for k in range(1, node))]
            for side in (1, 2):
                space[f"{cell}.node{node}.input{side}"] = {"type": "categorical", "choices": inputs}
                space[f"{cell}.node{node}.op{side}"] = {"type": "categorical", "choices": OPERATIONS}
    space["width"] = {"type": "integer", "low": 16, "high": 256, "log": True}
    space["drop"] = {"type": "real", "low": 0.0, "high": 0.5, "log": False}
    return space


SMALL = {"op": {"type": "categorical", "choices": ["conv", "skip"]}} | dict(enas_space(0).items())


def write_lines(path, events):
    Path(path).write_text("".join(json.dumps(event) + "\n" for event in events))


def write_log(folder, space=SMALL, *, steps=40, thetas=10, warm_up=0.25, seed=0, end="finished"):
    """Write a log whose theta moves from uniform towards a random choice; return that architecture."""
    rng = random.Random(seed)
    found = {n: _draw(variable, rng) for n, variable in space.items()}
    firmness = {name: rng.uniform(0.2, 1.0) for name in space}
    events = [_start(space, seed)]
    for step in range(1, steps + 1):
        at = max(0.0, (step / steps - warm_up) / (1 - warm_up))
        events.append(_step(step, steps, at, rng))
        if step % max(1, steps // thetas) == 0:
            theta = {n: _theta(v, found[n], at * firmness[n], rng) for n, v in space.items()}
            events.append({"event": "theta", "step": step, "theta": theta})
    if end:
        events.append({"event": "end", "step": steps, "reason": end})
    write_lines(folder / "log.jsonl", events)
    return found


def _start(space, seed):
    return {
        "event": "start",
        "time": "2024-05-06T07:08:09+0000",
        "seed": seed,
        "space": space,
        "n_theta": 144,
        "versions": {"python": "3.11.2", "asng": "0.1.0", "torch": "2.13.0", "numpy": "2.4.6"},
        "machine": {"system": "Linux", "cores": 2, "threads": 2, "accelerator": "none"},
    }


def _step(step, steps, at, rng):
    return {
        "event": "step",
        "step": step,
        "epoch": step // 100,
        "loss": 0.45 + 1.9 * math.exp(-5 * step / steps) + 0.12 * rng.gauss(0, 1) ** 2,
        "objective": 0.55 + 0.5 * math.exp(-3 * at) + rng.gauss(0, 0.06) if at > 0 else None,
        "entropy": 1 - 0.75 * at**1.3,
        "delta": math.exp(0.5 * math.sin(9 * at) - 1.5 * at) if at > 0 else 1.0,
        "gamma": min(1.0, at * 3),
        "seconds": 0.35 * step,
    }


def _draw(variable, rng):
    if variable["type"] == "categorical":
        return rng.choice(variable["choices"])
    value = rng.uniform(variable["low"], variable["high"])
    return round(value) if variable["type"] == "integer" else value


def _theta(variable, found, at, rng):
    if variable["type"] == "categorical":
        k = len(variable["choices"])
        raw = [max(0.002, 1 / k * (1 - at) + rng.gauss(0, 0.03 * at)) for _ in range(k)]
        raw[variable["choices"].index(found)] += at
        return [round(p / sum(raw), 5) for p in raw]
    to_raw = math.log if variable["log"] else float
    low, high, goal = to_raw(variable["low"]), to_raw(variable["high"]), to_raw(found)
    return {"mean": (low + high) / 2 * (1 - at) + goal * at, "std": (high - low) / 2 * (1 - 0.9 * at)}


def enas_graph(title, architecture, cell, nodes=5):
    names = ["cell-2", "cell-1", *(f"node{k}" for k in range(1, nodes + 1))]
    edges, used = [], set()
    for node in range(1, nodes + 1):
        for side in (1, 2):
            source = architecture[f"{cell}.node{node}.input{side}"]
            used.add(source)
            label = architecture[f"{cell}.node{node}.op{side}"]
            edges.append({"from": source, "to": f"node{node}", "label": label})
    edges += [{"from": n, "to": "output", "label": ""} for n in names[2:] if n not in used]
    nodes = [{"id": name, "label": name} for name in [*names, "output"]]
    return {"title": title, "nodes": nodes, "edges": edges}


def result(found=0.861, randoms=(0.853, 0.846, 0.838, 0.829), *, inherited=0.712, architecture=None, **other):
    def network(score, k):
        return {
            "score": score,
            "parameters": 41234 + 977 * k,
            "seconds": 20.1 + k,
            "architecture": architecture,
        }

    return {
        "metric": "accuracy",
        "higher_is_better": True,
        "seed": 0,
        "search_seconds": 812.4,
        "steps": 1200,
        "inherited": inherited,
        "found": network(found, 0),
        "random": [network(score, k + 1) for k, score in enumerate(randoms)],
    } | other


def write_json(path, data):
    Path(path).write_text(json.dumps(data))


def write_small_run(folder, **options):
    """Write a whole run folder of three variables."""
    folder.mkdir(exist_ok=True)
    architecture = write_log(folder, **options)
    write_json(folder / "architecture.json", architecture)
    write_json(folder / "result.json", result(architecture=architecture))
    (folder / "config.yaml").write_text("search:\n  lam: 2\n  ripen: 0.5\nseed: 0\n")
    return folder


def write_enas_run(folder, *, steps=1200, seed=0, **scores):
    """Write a whole run folder of the ENAS space: 40 choices, an integer and a real."""
    folder.mkdir(exist_ok=True, parents=True)
    space = enas_space()
    architecture = write_log(folder, space, steps=steps, thetas=150, warm_up=0.5, seed=seed)
    write_json(folder / "architecture.json", architecture)
    graphs = [enas_graph(f"{cell} cell", architecture, cell) for cell in ("normal", "reduction")]
    write_json(folder / "graphs.json", graphs)
    write_json(folder / "result.json", result(architecture=architecture, **scores))
    settings = {
        "supernet": {"class": "asng.supernets.EnasCell", "nodes": 5, "width": 16},
        "epochs": 30,
        "seed": seed,
    }
    (folder / "config.yaml").write_text(json.dumps(settings))
    return folder


def write_seeds_run_of_two_scores(folder):
    """Write a folder of three seeds with a second score, of which the last does not have it."""
    write_seeds_run(folder)
    summary = json.loads((folder / "summary.json").read_text())
    for seed, found in zip(summary["seeds"], (0.61, 0.65), strict=False):
        seed["others"] = {"SSIM": {"found": found, "random_mean": found - 0.2, "random_sd": 0.05}}
    write_json(folder / "summary.json", summary)
    return folder


def write_seeds_run(folder, founds=(0.861, 0.842, 0.855)):
    """Write a folder of several seeds."""
    folder.mkdir(exist_ok=True)
    seeds = []
    for seed, found in enumerate(founds):
        write_small_run(folder / f"seed-{seed}", seed=seed)
        write_json(folder / f"seed-{seed}" / "result.json", result(found))
        mean, sd = 0.8415, 0.0102
        seeds.append(
            {"seed": seed, "found": found, "random_mean": mean, "random_sd": sd}
            | {"inherited": 0.71, "folder": f"seed-{seed}"}
        )
    write_json(folder / "summary.json", {"metric": "accuracy", "higher_is_better": True, "seeds": seeds})
    return folder
