"""A run folder, read whole: what is there is checked, what is missing is left out."""

from collections.abc import Mapping
from dataclasses import dataclass
from os import PathLike
from pathlib import Path
from typing import Any

from asng.errors import RunError
from asng.files import read_json
from asng.plain_yaml import read_yaml
from asng.report.benchmark.cells import BenchmarkRun, read_benchmark
from asng.report.fields import as_list, as_object, text
from asng.report.log import Log, read_log
from asng.report.pictures import Pictures, read_pictures
from asng.report.results import Result, Summary, read_result, read_summary
from asng.report.toy.cells import ToyGrid, read_toy

__all__ = ["Run", "Graph", "GraphEdge", "read_run"]

_PARTS = (
    "log.jsonl",
    "result.json",
    "architecture.json",
    "summary.json",
    "toy.json",
    "benchmark.jsonl",
    "config.yaml",
)


@dataclass(frozen=True)
class GraphEdge:
    """One operation between two nodes; several may join the same two."""

    source: str
    target: str
    label: str


@dataclass(frozen=True)
class Graph:
    """A found cell to draw: node ids with their labels, and edges."""

    title: str
    nodes: Mapping[str, str]
    edges: tuple[GraphEdge, ...]


@dataclass(frozen=True, eq=False)
class Run:
    """All that a run folder says.

    Attributes:
        folder: The folder.
        config: Settings, empty if there is no config.yaml.
        log: The log, empty if there is none.
        architecture: The found architecture, or None.
        graphs: Cells to draw, perhaps none.
        pictures: What the found network does to test data, or None.
        result: Scores of the found and of random networks, or None.
        summary: Scores of several seeds, or None: then the folder is one search.
        toy: Cells of the toy problem, or None: then the folder is of a search.
        benchmark: Cells of a benchmark, or None.
    """

    folder: Path
    config: Mapping[str, Any]
    log: Log
    architecture: Mapping[str, Any] | None
    graphs: tuple[Graph, ...]
    pictures: Pictures | None
    result: Result | None
    summary: Summary | None
    toy: ToyGrid | None
    benchmark: BenchmarkRun | None = None

    @property
    def of_black_box(self) -> bool:
        """Whether it is a run of `asng.minimize`."""
        return self.log.start.get("kind") == "minimize"


def read_run(run_dir: str | PathLike[str]) -> Run:
    """Read a run folder, of a search that has ended or still goes on.

    Args:
        run_dir: The folder, with any of config.yaml, log.jsonl, architecture.json, graphs.json,
            pictures.json, result.json and, for several seeds, summary.json; or toy.json.

    Returns:
        What is there.

    Raises:
        RunError: There is no such folder, nothing of a run is in it, or a file is damaged.

    Example:
        >>> read_run("runs/a").log.steps.loss.min()   # doctest: +SKIP
        0.41
    """
    folder = Path(run_dir)
    if not folder.is_dir():
        raise RunError(f"{folder}: expected a run folder, got no such folder. Check the path.")
    if not any((folder / part).exists() for part in _PARTS):
        raise RunError(
            f"{folder}: expected a run folder, with at least one of {', '.join(_PARTS)}; got none of them."
        )
    return Run(
        folder=folder,
        config=_read_config(folder / "config.yaml"),
        log=read_log(folder / "log.jsonl"),
        architecture=_read_architecture(folder / "architecture.json"),
        graphs=_read_graphs(folder / "graphs.json"),
        pictures=read_pictures(folder / "pictures.json"),
        result=read_result(folder / "result.json"),
        summary=read_summary(folder / "summary.json"),
        toy=read_toy(folder / "toy.json"),
        benchmark=read_benchmark(folder / "benchmark.jsonl"),
    )


def _read_config(path: Path) -> Mapping[str, Any]:
    if not path.exists():
        return {}
    config = read_yaml(path)
    if config is None:
        return {}
    if not isinstance(config, dict):
        raise RunError(f"{path}: expected a mapping of settings, got {type(config).__name__}.")
    return config


def _read_architecture(path: Path) -> Mapping[str, Any] | None:
    return as_object(read_json(path), str(path)) if path.exists() else None


def _read_graphs(path: Path) -> tuple[Graph, ...]:
    if not path.exists():
        return ()
    graphs = as_list(read_json(path), str(path))
    return tuple(_graph(graph, f"{path}, [{index}]") for index, graph in enumerate(graphs))


def _graph(value: Any, where: str) -> Graph:
    data = as_object(value, where)
    nodes = {}
    for index, item in enumerate(as_list(data.get("nodes"), f"{where}, nodes")):
        node = as_object(item, f"{where}, nodes[{index}]")
        name = str(node.get("id"))
        nodes[name] = str(node.get("label", name))
    edges = []
    for index, item in enumerate(as_list(data.get("edges"), f"{where}, edges")):
        edge = as_object(item, f"{where}, edges[{index}]")
        ends = str(edge.get("from")), str(edge.get("to"))
        for end in ends:
            if end not in nodes:
                raise RunError(f"{where}, edges[{index}]: expected the id of a node, got {end!r}.")
        edges.append(GraphEdge(*ends, label=str(edge.get("label") or "")))
    return Graph(text(data, "title", where, "graph"), nodes, tuple(edges))
