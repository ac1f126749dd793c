"""The autoencoder of an architecture as a graph to draw."""

from collections.abc import Mapping
from typing import Any

from asng.errors import InputError
from asng.space import Value
from asng.supernets.autoencoder.wiring import Layer, path

__all__ = ["autoencoder_graph"]


def autoencoder_graph(
    architecture: Mapping[str, Value], *, columns: int, level_back: int, image_size: tuple[int, int]
) -> dict[str, Any]:
    """Return the network of an architecture as a graph: encoder, decoder, and skip connections.

    Args:
        architecture: Of the space of a `ConvAutoencoder`, of either encoding.
        columns: As it was made with.
        level_back: As it was made with.
        image_size: Height and width of the images.

    Returns:
        A dictionary that JSON can hold: "title", "nodes" with "id" and "label" (channels @ side of the
        images), "edges" with "from", "to" and "label": the kernel, "down" where a convolution halves the
        images, and "up" where its mirror image doubles them. What the output does not reach is left out.

    Raises:
        InputError: `architecture` is of no such space.

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
    # A layer is called by its node's name in the encoder, and by that and a stroke in the decoder.
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
