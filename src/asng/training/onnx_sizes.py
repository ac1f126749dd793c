"""Which sizes an ONNX program really takes: those at which it computes what the network computes.

The conversion fixes some numbers at the sizes of the example, such as the windows of an adaptive pooling, and
still declares the sizes free. So the program is run at two other sizes, beside the network.
"""

import warnings
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence, Set
from typing import Any, NamedTuple, TypeAlias

import torch
from torch import Tensor, nn
from torch.utils import _pytree as pytree

from asng.training.compare import TOLERANCE, difference
from asng.training.data.nested import tensors_in

__all__ = ["keep_what_holds", "other_sizes", "resized"]

_BATCH = (2, 3)
"""Numbers of items of the batch at other sizes: few, but more than one, which torch treats on its own."""

_Ranges: TypeAlias = Mapping[Any, tuple[int, int | None, int | None]]
"""Size of the example, least and greatest size, by symbol."""


class _Program(NamedTuple):
    """The sizes of a program.

    Attributes:
        inputs: The example: positional and keyword inputs.
        shapes: Of each input that is a tensor: for each dimension a number or an expression of symbols.
        sizes: The same of the example, as numbers.
        ranges: The symbols that are the size of a dimension.
        batch: The symbol of the batch, if it has one.
    """

    inputs: Any
    shapes: list[list[Any]]
    sizes: list[torch.Size]
    ranges: _Ranges
    batch: frozenset[Any]


def keep_what_holds(converted: Any, program: torch.export.ExportedProgram, child: nn.Module) -> None:
    """Fix those sizes of an ONNX program at which it fails or differs from the network, and warn of them.

    A size is fixed without a warning if the network itself takes no other.

    Without onnxruntime, which has to run it, only the size of the batch stays free.

    Args:
        converted: The `torch.onnx.ONNXProgram`, whose inputs are changed.
        program: The program that it was converted from.
        child: The network, in eval mode.
    """
    known = _program_of(program)
    if not known.ranges:
        return
    try:
        import onnxruntime
    except ImportError:
        free, refused = known.batch, frozenset[Any]()
        why = "onnxruntime is not installed, so no other size could be tried. Install it"
    else:
        free, refused = _that_hold(known, onnxruntime, converted, child)
        why = (
            "at another size it fails or gives other outputs than the network. Export an example of each size"
        )
    fixed = []
    for value, shape, sizes in zip(converted.model.graph.inputs, known.shapes, known.sizes, strict=True):
        for dim, size in enumerate(shape):
            symbols = frozenset() if isinstance(size, int) else size.free_symbols
            if not symbols or not symbols <= free:
                value.shape[dim] = sizes[dim]  # a number too, which the conversion may have made a name
            if not symbols <= free | refused:
                fixed.append(f"{value.name!r} at dimension {dim} ({sizes[dim]})")
    if fixed:
        warnings.warn(
            f"save_onnx: the program takes only one size of its inputs {', '.join(fixed)}: {why}, if you "
            "need others.",
            stacklevel=3,
        )


def _program_of(program: torch.export.ExportedProgram) -> _Program:
    values = {node.name: node.meta.get("val") for node in program.graph.nodes if node.op == "placeholder"}
    inputs = [values.get(name) for name in program.graph_signature.user_inputs]
    shapes = [
        [size.node.expr if isinstance(size, torch.SymInt) else size for size in value.shape]
        for value in inputs
        if isinstance(value, Tensor)
    ]
    ranges: dict[Any, tuple[int, int | None, int | None]] = {}
    sizes = [tensor.shape for tensor in tensors_in(program.example_inputs)]
    for shape, example in zip(shapes, sizes, strict=True):
        for size, now in zip(shape, example, strict=True):
            if size in program.range_constraints:
                span = program.range_constraints[size]
                ranges[size] = (now, _number(span.lower), _number(span.upper))
    first = Counter(shape[0] for shape in shapes if shape).most_common(1)
    batch = frozenset(symbol for symbol, _ in first if symbol in ranges)
    return _Program(program.example_inputs, shapes, sizes, ranges, batch)


def _number(bound: Any) -> int | None:
    return int(bound) if bound.is_Integer else None


def _that_hold(
    known: _Program, runtime: Any, converted: Any, child: nn.Module
) -> tuple[frozenset[Any], frozenset[Any]]:
    """Return the symbols whose sizes may change, and those of which the network takes no other size."""
    options = runtime.SessionOptions()
    options.log_severity_level = 4
    options.intra_op_num_threads = torch.get_num_threads()
    try:
        content = converted.model_proto.SerializeToString()
        session = runtime.InferenceSession(content, options, providers=["CPUExecutionProvider"])
    except Exception:  # there are many kinds; some operators are not in onnxruntime
        return known.batch, frozenset()

    def holds(symbols: Set[Any]) -> bool | None:
        tried = 0
        for sizes in other_sizes(known.ranges, known.batch):
            now = {s: sizes[s] if s in symbols else size for s, (size, *_) in known.ranges.items()}
            args, named = _inputs(known, now)
            try:
                with torch.no_grad():
                    expected = child(*args, **named)
            except Exception:  # the network itself does not take these sizes
                continue
            if not _gives(session, (args, named), expected):
                return False
            tried += 1
            if tried == 2:
                break
        return True if tried else None

    free = frozenset(known.ranges)
    if holds(free):
        return free, frozenset()
    alone = {symbol: holds({symbol}) for symbol in free}
    free = frozenset(symbol for symbol, held in alone.items() if held)
    refused = frozenset(symbol for symbol, held in alone.items() if held is None)
    return free if holds(free) else free & known.batch, refused


def other_sizes(ranges: _Ranges, batch: Set[Any]) -> Iterator[dict[Any, int]]:
    """Yield other sizes within their ranges: larger by one, larger by half, and smaller by one.

    A pooling of fixed windows may agree by chance at one other size, but hardly at two, of which one is odd.

    Example:
        >>> list(other_sizes({"batch": (8, 0, None), "length": (10, 2, 15)}, {"batch"}))
        [{'batch': 2, 'length': 11}, {'batch': 2, 'length': 11}, {'batch': 2, 'length': 9}]
    """

    def other(symbol: Any, wanted: int) -> int:
        now, least, greatest = ranges[symbol]
        few: tuple[int, ...] = _BATCH if symbol in batch else ()
        for size in (*few, wanted, now + 1, now - 1):
            if size != now and size >= max(2, least or 0) and (greatest is None or size <= greatest):
                return size
        return now

    for halves, more in ((0, 1), (1, 1), (0, -1)):
        yield {s: other(s, now + halves * (now // 2) + more) for s, (now, *_) in ranges.items()}


def resized(x: Tensor, sizes: Sequence[int]) -> Tensor:
    """Return a tensor of other sizes with the same entries, repeated or cut: numbers of tokens stay valid.

    Example:
        >>> resized(torch.tensor([1, 2, 3]), [5])
        tensor([1, 2, 3, 1, 2])
    """
    for dim, size in enumerate(sizes):
        if size != x.shape[dim]:
            x = x.index_select(dim, torch.arange(size, device=x.device) % x.shape[dim])
    return x


def _inputs(known: _Program, sizes: Mapping[Any, int]) -> tuple[tuple[Any, ...], dict[str, Any]]:
    """Return the example with other sizes, as positional and keyword inputs."""
    shapes = iter(known.shapes)

    def other(x: Tensor) -> Tensor:
        return resized(x, [size if isinstance(size, int) else int(size.subs(sizes)) for size in next(shapes)])

    made: tuple[tuple[Any, ...], dict[str, Any]]
    made = pytree.tree_map_only(Tensor, other, known.inputs)
    return made


def _gives(session: Any, inputs: Any, expected: Any) -> bool:
    """Whether a program gives these outputs, within the tolerance of their numbers."""
    try:
        arrays = [tensor.detach().cpu().numpy() for tensor in tensors_in(inputs)]
        names = [one.name for one in session.get_inputs()]
        outputs = session.run(None, dict(zip(names, arrays, strict=True)))
        got = [torch.from_numpy(output) for output in outputs]
    except Exception:  # there are many kinds
        return False
    wanted = [leaf.cpu() for leaf in pytree.tree_leaves(expected) if isinstance(leaf, Tensor)]
    return difference(got, wanted, tolerance=TOLERANCE) is None
