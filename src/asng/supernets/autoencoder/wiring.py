"""The wiring of a convolutional autoencoder: its variables, the nodes that run, and its graph."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from asng.errors import InputError
from asng.space import Categorical, Integer, Value, Variable

__all__ = [
    "IMAGE",
    "Layer",
    "channels_variable",
    "inputs_of",
    "node_variables",
    "operation_name",
    "output_variables",
    "path",
    "autoencoder_graph",
]

IMAGE = "image"
"""The name of the network's input among the inputs that a node may read."""


@dataclass(frozen=True)
class Layer:
    """A convolution on the way from the image to the output, and its mirror image in the decoder.

    Attributes:
        node: Number of the node, from 1.
        kernel: Side of the kernel.
        skip: Whether the output is added to that of the mirror image; if not, the stride is 2.
        side: Height and width of the input, which the mirror image restores.
    """

    node: int
    kernel: int
    skip: bool
    side: tuple[int, int]

    @property
    def side_after(self) -> tuple[int, int]:
        """Height and width of the output."""
        height, width = self.side
        return self.side if self.skip else (-(-height // 2), -(-width // 2))

    @property
    def operation(self) -> str:
        """Kernel and kind as one word."""
        return operation_name(self.kernel, skip=self.skip)


def operation_name(kernel: int, *, skip: bool) -> str:
    """Return a kernel, and whether there is a skip connection or downsampling, as one word.

    Example:
        >>> operation_name(3, skip=False)
        'down_3x3'
    """
    return f"{'skip' if skip else 'down'}_{kernel}x{kernel}"


def inputs_of(position: int, level_back: int) -> tuple[str, ...]:
    """Return the inputs of node `position` (from 1): the last `level_back` of the image and earlier nodes.

    The output may read what a node after the last one could read.

    Example:
        >>> inputs_of(3, level_back=5), inputs_of(7, level_back=2)
        (('image', 'node1', 'node2'), ('node5', 'node6'))
    """
    before = [IMAGE, *(f"node{earlier}" for earlier in range(1, position))]
    return tuple(before[-level_back:])


def node_variables(node: int, level_back: int, kernels: Sequence[int], *, mixed: bool) -> dict[str, Variable]:
    """Return the variables of a node except its channels, by slot; no variable if there is only one input.

    Args:
        node: Number of the node, from 1.
        level_back: How many entries back a node may read.
        kernels: Sides of kernels, rising, and evenly spaced if `mixed`.
        mixed: Whether skip and kernel are a choice and an integer; if not, they are one choice together.

    Example:
        >>> [variable.label for variable in node_variables(2, 5, [1, 3], mixed=True).values()]
        ['node2.skip', 'node2.kernel', 'node2.input']
    """
    variables: dict[str, Variable] = {}
    if mixed:
        step = kernels[1] - kernels[0] if len(kernels) > 1 else 1
        variables["skip"] = Categorical([False, True], label=f"node{node}.skip")
        variables["kernel"] = Integer(kernels[0], kernels[-1], step=step, label=f"node{node}.kernel")
    else:
        operations = [operation_name(kernel, skip=skip) for skip in (True, False) for kernel in kernels]
        variables["op"] = Categorical(operations, label=f"node{node}.op")
    if len(sources := inputs_of(node, level_back)) > 1:
        variables["input"] = Categorical(sources, label=f"node{node}.input")
    return variables


def output_variables(columns: int, level_back: int) -> dict[str, Variable]:
    """Return the variable that selects the last node, by slot; no variable if there is only one choice."""
    sources = inputs_of(columns + 1, level_back)
    return {"output": Categorical(sources, label="output")} if len(sources) > 1 else {}


def channels_variable(node: int, channels: Sequence[int], *, mixed: bool) -> Categorical | Integer:
    """Return the variable of a node's channels: a choice, or if `mixed` an integer from first to last."""
    label = f"node{node}.channels"
    return Integer(channels[0], channels[-1], label=label) if mixed else Categorical(channels, label=label)


def path(
    value: Callable[[str], Value],
    *,
    columns: int,
    level_back: int,
    side: tuple[int, int],
    mixed: bool,
) -> list[Layer]:
    """Return the layers from the image to the output.

    A node that would halve an image of height or width 1 is skipped, as in the authors' code.

    Args:
        value: Returns the value of a variable by its name. It is called only for variables that the network
            depends on: none of nodes that the output does not reach, no kernel of a skipped node.
        columns: Number of nodes.
        level_back: As in `node_variables`.
        side: Height and width of the image.
        mixed: As in `node_variables`.
    """
    layers = []
    for node in _reached(value, columns, level_back):
        skip, kernel = _operation(value, node, mixed=mixed)
        if not skip and min(side) == 1:
            continue
        layers.append(Layer(node, kernel(), skip, side))
        side = layers[-1].side_after
    return layers


def _reached(value: Callable[[str], Value], columns: int, level_back: int) -> list[int]:
    """Return the numbers of the nodes that the output depends on, in rising order."""
    reached: list[int] = []
    position, name = columns + 1, "output"
    while True:
        sources = inputs_of(position, level_back)
        source = sources[0] if len(sources) == 1 else str(value(name))
        if source == IMAGE:
            return reached[::-1]
        position = int(source.removeprefix("node"))
        name = f"node{position}.input"
        reached.append(position)


def _operation(value: Callable[[str], Value], node: int, *, mixed: bool) -> tuple[bool, Callable[[], int]]:
    if mixed:
        return bool(value(f"node{node}.skip")), lambda: int(value(f"node{node}.kernel"))  # type: ignore[arg-type]
    kind, side = str(value(f"node{node}.op")).split("_")
    return kind == "skip", lambda: int(side.partition("x")[0])


def autoencoder_graph(
    architecture: Mapping[str, Value], *, columns: int, level_back: int, image_size: tuple[int, int]
) -> dict[str, Any]:
    """Return the network of an architecture as a graph: encoder, decoder, and skip connections.

    Args:
        architecture: An architecture of a `ConvAutoencoder`, in either encoding.
        columns: As given to the `ConvAutoencoder`.
        level_back: As given to the `ConvAutoencoder`.
        image_size: Height and width of the images.

    Returns:
        A JSON-serialisable dictionary: "title", "nodes" with "id" and "label" (channels @ side of the
        images), and "edges" with "from", "to" and "label". The label is the kernel, with "down" if a
        convolution halves the images, and "up" if its mirror image doubles them. Nodes that the output does
        not reach are left out.

    Raises:
        InputError: `architecture` is not from such a space.

    Example:
        >>> a = {"node1.op": "down_3x3", "node1.channels": 8, "output": "node1"}
        >>> graph = autoencoder_graph(a, columns=1, level_back=5, image_size=(32, 32))
        >>> [edge["label"] for edge in graph["edges"]]
        ['3x3 down', '3x3 up', '3x3']
        >>> [node["label"] for node in graph["nodes"]]
        ['input', '8 @ 16', '8 @ 32', 'output']
    """
    try:
        layers = path(
            architecture.__getitem__,
            columns=columns,
            level_back=level_back,
            side=image_size,
            mixed="node1.op" not in architecture,
        )
        channels = {layer: architecture[f"node{layer.node}.channels"] for layer in layers}
    except KeyError as error:
        raise InputError(
            f"architecture: expected the variable {error.args[0]!r}, got none. Give an architecture of a "
            f"ConvAutoencoder of {columns} columns."
        ) from None
    # The id of a layer is its node's number in the encoder, and the number with a prime in the decoder.
    drawn = [{"id": "input", "label": "input"}]
    drawn += [{"id": f"{x.node}", "label": f"{channels[x]} @ {_size(x.side_after)}"} for x in layers]
    drawn += [{"id": f"{x.node}'", "label": f"{channels[x]} @ {_size(x.side)}"} for x in reversed(layers)]
    drawn += [{"id": "output", "label": "output"}]
    names = [node["id"] for node in drawn]
    labels = [_label(x, "down") for x in layers] + [_label(x, "up") for x in reversed(layers)] + ["3x3"]
    steps = zip(names, names[1:], labels, strict=False)
    edges = [{"from": start, "to": end, "label": label} for start, end, label in steps]
    edges += [{"from": f"{x.node}", "to": f"{x.node}'", "label": "skip"} for x in layers if x.skip]
    return {"title": "channels @ side of images; kernels", "nodes": drawn, "edges": edges}


def _label(layer: Layer, halving: str) -> str:
    return f"{layer.kernel}x{layer.kernel}{'' if layer.skip else f' {halving}'}"


def _size(side: tuple[int, int]) -> str:
    return f"{side[0]}" if side[0] == side[1] else f"{side[0]}x{side[1]}"
