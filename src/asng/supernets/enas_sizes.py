"""Which cells of an ENAS network reduce the image, and which sizes of images they can reduce."""

from collections.abc import Collection, Sequence

from asng.checks import integer_at_least
from asng.errors import InputError

__all__ = ["check_image_size", "least_side_after", "reduction_indices"]


def reduction_indices(reductions: Sequence[int] | None, cells: int) -> frozenset[int]:
    """Return the indices of the reduction cells: as given, or after a third and two thirds of the cells.

    Raises:
        InputError: An index is that of no cell.
    """
    if reductions is None:
        return frozenset((cells // 3, 2 * cells // 3) if cells >= 3 else ())
    for index in reductions:
        integer_at_least("reductions", index, 0)
        if index >= cells:
            raise InputError(
                f"reductions: expected indices of the {cells} cells, in [0, {cells - 1}], got {index}."
            )
    return frozenset(reductions)


def check_image_size(image_size: int | tuple[int, int], reductions: int) -> None:
    """Refuse images that so many reduction cells cannot halve.

    Raises:
        InputError: A side is too small, or they are not one side or two.
    """
    sides = _sides(image_size)
    if len(sides) != 2:
        raise InputError(f"image_size: expected one side, or height and width, got {image_size!r}.")
    least = 2 ** (reductions - 1) + 1 if reductions else 1
    for side in sides:
        if integer_at_least("image_size", side, 1) < least:
            raise InputError(
                f"image_size: expected sides of at least {least}, which {reductions} reduction cells can "
                f"halve, got {side}. Give larger images, or fewer `reductions`."
            )


def least_side_after(image_size: int | tuple[int, int], cell: int, reducing: Collection[int]) -> int:
    """Return the lesser side of the output of a cell, in pixels.

    Args:
        image_size: Side of the images, or height and width.
        cell: Index of the cell.
        reducing: Indices of the reduction cells.

    Example:
        >>> least_side_after((28, 32), 13, reducing={6, 13})
        7
    """
    side = min(_sides(image_size))
    for _ in range(sum(index <= cell for index in reducing)):
        side = (side + 1) // 2
    return side


def _sides(image_size: int | tuple[int, int]) -> tuple[int, ...]:
    return tuple(image_size) if isinstance(image_size, (tuple, list)) else (image_size, image_size)
