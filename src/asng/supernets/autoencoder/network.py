"""The space of symmetric convolutional autoencoders that the ASNG paper searches for inpainting."""

from collections.abc import Sequence
from itertools import pairwise

from torch import Tensor, nn

from asng.checks import integer_at_least, one_of
from asng.errors import InputError
from asng.nn import ConvTranspose2d, Searchable
from asng.options import Encoding
from asng.space import Value, Variable
from asng.supernets.arguments import check_shape
from asng.supernets.autoencoder.node import AutoencoderNode
from asng.supernets.autoencoder.wiring import Layer, output_variables, path

__all__ = ["ConvAutoencoder"]


class ConvAutoencoder(Searchable):
    """A network from images to images: convolutions, and their mirror images in reverse order.

    Nodes form a sequence. Each reads one of the `level_back` entries before it, which are nodes or the image,
    and the output reads one of the last nodes. The nodes on the way from the output back to the image are the
    encoder; all others are not run, and their variables are inactive. A node is a convolution and ReLU,
    without bias or normalisation. With a skip connection, it keeps the size of the image, and its output is
    added to that of its mirror image before the ReLU. Without one, both it and its mirror image have stride
    2. A transposed 3 x 3 convolution without ReLU makes the output.

    In the encoding "categorical", a node has one choice of skip and kernel together, one of channels and one
    of the input: 60 variables in the paper's size, n_theta 214. In the encoding "mixed", it has a choice of
    skip or not, one of the input, and integers for kernel and channels: 80 variables, 40 of them integers,
    n_theta 174. Either supernet has 183,507,712 weights for images of three channels. Every (node, kernel,
    skip) has weights of its own for the largest number of channels, and a candidate uses the first ones.

    If the height or the width is already 1, nodes without skip connection are skipped. An odd side n becomes
    (n + 1) / 2, and the mirror image cuts off the last row or column.

    Checked: the numbers of variables and weights and n_theta equal those that the authors' code prints
    (github shirakawas/ASNG-NAS, folder inpainting, its defaults; it also counts variables with a single
    choice, which do not exist here). Not checked: the text of the paper itself. Differs: the authors' code
    fails on odd sides.

    Args:
        in_channels: Channels of the images, at least 1.
        image_size: Side of the images in pixels, or height and width; at least 1.
        encoding: "categorical" or "mixed".
        columns: Number of nodes, at least 1.
        level_back: How far back a node reads, at least 1.
        kernels: Sides of kernels, odd and different; evenly spaced for "mixed".
        channels: Numbers of channels to choose from. For "mixed": any number from the smallest to the
            largest.

    Raises:
        InputError: An argument is out of its range.

    Example:
        >>> import torch
        >>> from random import Random
        >>> from asng.nn import Supernet
        >>> model = ConvAutoencoder(in_channels=1, image_size=14, columns=6, channels=(4, 8))
        >>> supernet = Supernet(model)
        >>> list(supernet.space)[:6]
        ['output', 'node1.op', 'node1.channels', 'node2.op', 'node2.input', 'node2.channels']
        >>> a = supernet.space.sample(Random(0))
        >>> supernet(torch.zeros(2, 1, 14, 14), architecture=a).shape
        torch.Size([2, 1, 14, 14])

    References:
        Akimoto et al. (2019). Adaptive stochastic natural gradient method for one-shot neural architecture
        search, section 5.3. Suganuma, Ozay, Okatani (2018). Exploiting the potential of standard
        convolutional autoencoders for image restoration by evolutionary search, section 3.
    """

    def __init__(
        self,
        *,
        in_channels: int,
        image_size: int | tuple[int, int],
        encoding: Encoding = "categorical",
        columns: int = 20,
        level_back: int = 5,
        kernels: Sequence[int] = (1, 3, 5),
        channels: Sequence[int] = (64, 128, 256),
    ) -> None:
        super().__init__()
        self.in_channels = integer_at_least("in_channels", in_channels, 1)
        self.side = _height_and_width(image_size)
        self.mixed = one_of("encoding", encoding, ["categorical", "mixed"]) == "mixed"
        self.columns = integer_at_least("columns", columns, 1)
        self.level_back = integer_at_least("level_back", level_back, 1)
        widths, sides = _rising("channels", channels), _kernels(kernels, evenly=self.mixed)
        # The input of a node is the image or the output of another node.
        most = max(widths[-1], in_channels)
        self.nodes = nn.ModuleList()
        for number in range(1, columns + 1):
            node = AutoencoderNode(
                number,
                level_back=level_back,
                in_channels=most,
                channels=widths,
                kernels=sides,
                mixed=self.mixed,
            )
            self.nodes.append(node)
        self.output = ConvTranspose2d(most, in_channels, 3, padding=1, bias=False)

    def variables(self) -> dict[str, Variable]:
        """Return the choice of the last node; all other variables belong to the nodes."""
        return output_variables(self.columns, self.level_back)

    def layers(self) -> list[Layer]:
        """Return the layers of the encoder under the current architecture, in order."""
        return path(
            self._value, columns=self.columns, level_back=self.level_back, side=self.side, mixed=self.mixed
        )

    def forward(self, x: Tensor) -> Tensor:
        """Map images (batch, in_channels, height, width) to images of the same shape.

        Raises:
            InputError: The images have another shape.
        """
        check_shape("x", x, "batch", self.in_channels, *self.side)
        used = [(self.nodes[layer.node - 1], layer) for layer in self.layers()]
        encoded = []
        for node, layer in used:
            x = node.encode(layer, x)  # type: ignore[operator]
            encoded.append(x if layer.skip else None)
        for node, layer in reversed(used):
            x = node.decode(layer, x, encoded.pop())  # type: ignore[operator]
        return self.output(x)  # type: ignore[no-any-return]

    def _value(self, name: str) -> Value:
        owner, _, slot = name.rpartition(".")
        if not owner:
            return self.value(slot)
        return self.nodes[int(owner.removeprefix("node")) - 1].value(slot)  # type: ignore[operator,no-any-return]


def _height_and_width(image_size: int | tuple[int, int]) -> tuple[int, int]:
    sides = image_size if isinstance(image_size, (tuple, list)) else (image_size, image_size)
    if len(sides) != 2:
        raise InputError(f"image_size: expected one side, or height and width, got {image_size!r}.")
    height, width = (integer_at_least("image_size", side, 1) for side in sides)
    return height, width


def _rising(name: str, values: Sequence[int]) -> list[int]:
    if not isinstance(values, Sequence) or not values or len(set(values)) < len(values):
        raise InputError(f"{name}: expected a sequence of different numbers, got {values!r}.")
    return sorted(integer_at_least(name, value, 1) for value in values)


def _kernels(kernels: Sequence[int], *, evenly: bool) -> list[int]:
    sides = _rising("kernels", kernels)
    for side in sides:
        if side % 2 == 0:
            raise InputError(f"kernels: expected odd sides, got {side}.")
    if evenly and len({b - a for a, b in pairwise(sides)}) > 1:
        raise InputError(
            f"kernels: expected evenly spaced sides for the mixed encoding, as 1, 3, 5, got {sides}."
        )
    return sides
