"""Pictures of what the found network does: pictures.json of one search."""

import base64
import binascii
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from asng.errors import RunError
from asng.runs.fields import as_list, as_object, text
from asng.runs.files import read_json

__all__ = ["PictureRow", "Pictures", "read_pictures"]

_PNG = b"\x89PNG\r\n\x1a\n"


@dataclass(frozen=True)
class PictureRow:
    """One picture with what it shows.

    Attributes:
        label: In a word or two.
        png: A PNG file in base64.
    """

    label: str
    png: str


@dataclass(frozen=True)
class Pictures:
    """Rows of pictures of one width, and what is to be said below them."""

    caption: str
    rows: tuple[PictureRow, ...]


def read_pictures(path: Path) -> Pictures | None:
    """Read pictures.json, or return None where there is none.

    Raises:
        RunError: The file is no JSON object, a field is of another type, or a picture is no PNG.
    """
    if not path.exists():
        return None
    where = str(path)
    data = as_object(read_json(path), where)
    rows = as_list(data.get("rows") or [], f"{where}, rows")
    return Pictures(
        caption=text(data, "caption", where, ""),
        rows=tuple(_row(row, f"{where}, rows[{index}]") for index, row in enumerate(rows)),
    )


def _row(value: Any, where: str) -> PictureRow:
    data = as_object(value, where)
    png = text(data, "png", where, "")
    try:
        is_png = base64.b64decode(png, validate=True).startswith(_PNG)
    except (binascii.Error, ValueError):
        is_png = False
    if not is_png:
        raise RunError(f"{where}, png: expected a PNG file in base64, got {png!r:.40}.")
    return PictureRow(text(data, "label", where, ""), png)
