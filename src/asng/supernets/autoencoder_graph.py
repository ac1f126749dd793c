"""The autoencoder of an architecture as a graph to draw."""

from collections.abc import Mapping
from typing import Any

from asng.errors import InputError
from asng.space import Value
from asng.supernets.autoencoder_wiring import Layer, path

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
        A dictionary that JSON can hold: "title", "nodes" with "id" and "label" (channels and size of an
        image), "edges" with "from", "to" and "label". What the output does not reach is left out.

    Raises:
        InputError: `architecture` is of no such space.

    Example:
        >>> a = {"node1.op": "down_3x3", "node1.channels": 8, "output": "node1"}
        >>> graph = autoencoder_graph(a, columns=1, level_back=5, image_size=(32, 32))
        >>> [edge["label"] for edge in graph["edges"]]
        ['conv 3x3, stride 2', 'deconv 3x3, stride 2', 'deconv 3x3']
        >>> [node["label"] for node in graph["nodes"]]
        ['input', '8 of 16x16', '8 of 32x32', 'output']
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
    drawn += [{"id": f"{x.node}", "label": f"{channels[x]} of {_size(x.side_after)}"} for x in layers]
    drawn += [{"id": f"{x.node}'", "label": f"{channels[x]} of {_size(x.side)}"} for x in reversed(layers)]
    drawn += [{"id": "output", "label": "output"}]
    names = [node["id"] for node in drawn]
    labels = [_label("conv", x) for x in layers] + [_label("deconv", x) for x in reversed(layers)]
    labels += ["deconv 3x3"]
    steps = zip(names, names[1:], labels, strict=False)
    edges = [{"from": start, "to": end, "label": label} for start, end, label in steps]
    edges += [{"from": f"{x.node}", "to": f"{x.node}'", "label": "skip"} for x in layers if x.skip]
    return {"title": "autoencoder", "nodes": drawn, "edges": edges}


def _label(kind: str, layer: Layer) -> str:
    return f"{kind} {layer.kernel}x{layer.kernel}{'' if layer.skip else ', stride 2'}"


def _size(side: tuple[int, int]) -> str:
    return f"{side[0]}x{side[1]}"
