"""A residual convolutional network for images with searchable depth, widths, kernels and activation."""

from collections.abc import Sequence

from torch import Tensor, nn

from asng.checks import integer_at_least
from asng.errors import InputError
from asng.nn import BatchNorm2d, Conv2d, Linear, Repeat
from asng.nn.layers.sizes import Size
from asng.space import Categorical, Integer
from asng.supernets.arguments import ActivationName, check_shape, make_activation, one_a_stage, values_of

__all__ = ["ResidualBlock", "ResidualCNN"]

# The width doubles if the image is halved, so that stages cost about the same. BLAS is fast for these steps.
WIDTHS = (Integer(8, 32, step=8), Integer(16, 64, step=16), Integer(32, 128, step=32))
DEPTH = Integer(1, 3)
KERNEL = Integer(1, 7, step=2)
ACTIVATION = Categorical(["ReLU", "GELU", "SiLU", "Tanh"], label="activation")


class ResidualBlock(nn.Module):
    """Two convolutions whose output is added to their input.

    Args:
        width: Channels of input, hidden image and output, all equal because of the sum.
        kernel: Side of both kernels, odd.
        activation: Activation after the first convolution, and after the sum.
    """

    def __init__(self, width: Size, kernel: Size, activation: ActivationName) -> None:
        super().__init__()
        self.first = Conv2d(width, width, kernel, padding="same", bias=False)
        self.first_norm = BatchNorm2d(width)
        self.first_activation = make_activation(activation)
        self.second = Conv2d(width, width, kernel, padding="same", bias=False)
        self.second_norm = BatchNorm2d(width)
        self.activation = make_activation(activation)

    def forward(self, x: Tensor) -> Tensor:
        """Map images (batch, width, n, m) to images of the same shape."""
        y = self.first_activation(self.first_norm(self.first(x)))
        return self.activation(x + self.second_norm(self.second(y)))  # type: ignore[no-any-return]


class ResidualCNN(nn.Module):
    """An image classifier or regressor made of stages of residual blocks.

    A stage begins with a 3 x 3 convolution to its width, which may halve the image. A searchable number of
    blocks with the same kernel size follows. The mean over the image goes to a linear head.

    Every size is a number or a variable. A variable without a label that is given for all stages is searched
    separately in each, under the name "stage<i>.<argument>"; with a label, all stages share it.

    The batch norms of the child have no running averages until `asng.training.recalibrate` computes them,
    even after training it from scratch; `result.child` of a search has them.

    Args:
        in_channels: Channels of the images, at least 1.
        outputs: Number of classes, or of values to predict, at least 1.
        widths: Channels of each stage; their number is the number of stages.
        depth: Blocks of a stage after its first convolution, at least 0.
        kernel: Side of the kernels of the blocks, odd.
        activation: Name of a class of torch.nn, or a `Categorical` of names.
        strides: Strides of the first convolution of each stage. Default: 1, then 2.

    Raises:
        InputError: An argument is out of its range, or there is not one for each stage.
        SpaceError: A variable can take values that are invalid for its argument.

    Example:
        >>> import torch
        >>> from random import Random
        >>> from asng.nn import Supernet
        >>> supernet = Supernet(ResidualCNN(in_channels=1, outputs=10))
        >>> list(supernet.space)[:4]
        ['stage1.width', 'activation', 'stage1.depth', 'stage1.kernel']
        >>> a = supernet.space.sample(Random(0))
        >>> supernet(torch.zeros(2, 1, 14, 14), architecture=a).shape
        torch.Size([2, 10])

    References:
        He, Zhang, Ren, Sun (2016). Deep residual learning for image recognition, section 3.3.
    """

    def __init__(
        self,
        *,
        in_channels: int,
        outputs: int,
        widths: Sequence[Size] = WIDTHS,
        depth: Size | Sequence[Size] = DEPTH,
        kernel: Size | Sequence[Size] = KERNEL,
        activation: ActivationName | Sequence[ActivationName] = ACTIVATION,
        strides: Sequence[int] | None = None,
    ) -> None:
        super().__init__()
        stages = _number_of_stages(widths)
        width = one_a_stage("width", widths, stages)
        kernels = [_odd(size) for size in one_a_stage("kernel", kernel, stages)]
        depths = one_a_stage("depth", depth, stages)
        activations = one_a_stage("activation", activation, stages)
        self.stages = nn.Sequential()
        self.in_channels = integer_at_least("in_channels", in_channels, 1)
        before: Size = in_channels
        for i, stride in enumerate(_strides(strides, stages)):
            stage = _stage(before, width[i], depths[i], kernels[i], activations[i], stride)
            self.stages.append(stage)
            before = width[i]
        self.head = Linear(before, integer_at_least("outputs", outputs, 1))

    def forward(self, x: Tensor) -> Tensor:
        """Map images (batch, in_channels, height, width) to (batch, outputs).

        Raises:
            InputError: The images have another number of channels.
        """
        check_shape("x", x, "batch", self.in_channels, "height", "width")
        return self.head(self.stages(x).mean((2, 3)))  # type: ignore[no-any-return]


def _stage(
    before: Size, width: Size, depth: Size, kernel: Size, activation: ActivationName, stride: int
) -> nn.Module:
    return nn.Sequential(
        Conv2d(before, width, 3, stride=stride, padding=1, bias=False),
        BatchNorm2d(width),
        make_activation(activation),
        Repeat(lambda _: ResidualBlock(width, kernel, activation), depth),
    )


def _number_of_stages(widths: Sequence[Size]) -> int:
    if not isinstance(widths, Sequence) or not widths:
        raise InputError(f"widths: expected a sequence of one width per stage, got {widths!r}.")
    return len(widths)


def _odd(kernel: Size) -> Size:
    """Return a kernel after checking that all its sizes are odd, so that it keeps the sides of the image."""
    for side in values_of("kernel", kernel):
        if side % 2 == 0:
            raise InputError(f"kernel: expected odd sides, got {side}. For instance Integer(1, 7, step=2).")
    return kernel


def _strides(strides: Sequence[int] | None, stages: int) -> list[int]:
    if strides is None:
        return [1] + [2] * (stages - 1)
    each = one_a_stage("strides", strides, stages)
    return [integer_at_least("strides", stride, 1) for stride in each]
