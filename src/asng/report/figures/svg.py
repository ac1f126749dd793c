"""Turn matplotlib figures into SVG elements for a common page.

One unit is one CSS pixel at natural size, so font sizes here are font sizes on the page.
"""

import io
import re
import warnings
from collections.abc import Callable, Iterator, Sequence
from html import escape
from typing import Any
from xml.etree import ElementTree  # of figures drawn here  # nosec B405

import numpy as np
from markupsafe import Markup
from matplotlib import rc_context
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.text import Text
from numpy.typing import ArrayLike

__all__ = [
    "ABOVE",
    "draw",
    "drawn",
    "hint",
    "legend_above",
    "tidy",
    "clean",
    "INK",
    "FAINT",
    "BLUE",
    "ORANGE",
]

ABOVE = 32
"""Margin for one line of a legend."""

INK, FAINT = "#1c2733", "#8a949e"
# Okabe and Ito's blue and vermilion: the colour-blind can tell them apart, and so can readers of grey prints.
BLUE, ORANGE = "#0072b2", "#d55e00"

# Any, since matplotlib types every key separately.
_STYLE: dict[Any, Any] = {
    "svg.fonttype": "none",
    "svg.hashsalt": "asng",
    # A dollar sign in a name starts no formula.
    "text.parse_math": False,
    "axes.formatter.use_mathtext": False,
    "font.size": 11,
    "font.family": "DejaVu Sans",
    "text.color": INK,
    "axes.labelcolor": INK,
    "axes.edgecolor": FAINT,
    "axes.linewidth": 0.8,
    "xtick.color": INK,
    "ytick.color": INK,
    "xtick.labelsize": 10,
    "ytick.labelsize": 10,
    "axes.titlesize": 11,
}
_THEMED = {
    INK: "ink",
    "#000000": "ink",
    FAINT: "mark",
    BLUE: "blue",
    ORANGE: "orange",
    "#00795a": "green",
    "#a8477f": "pink",
    "#8a6d00": "olive",
    "#2f86b8": "sky",
    "#56b4e9": "sky",
    "#5b5b5b": "grey",
    "#e3e7eb": "grid",
    "#e6e9ec": "grid",
    "#eef0f2": "shade",
    "#eef3f7": "shade",
    "#ffffff": "paper",
}
"""The variable of style.css for each colour of figures; in dark mode, its value is another."""
_SVG = "{http://www.w3.org/2000/svg}"
_HREF = "{http://www.w3.org/1999/xlink}href"


def draw(
    paint: Callable[[Axes], None],
    *,
    size: tuple[float, float],
    margins: tuple[float, float, float, float],
    key: str,
    label: str,
) -> str:
    """Draw one pair of axes and return it as an SVG element.

    Args:
        paint: Draws into the axes.
        size: Width and height of the figure.
        margins: Left, right, bottom and top margin that the axes leave free.
        key: Prefix of all ids, different for each figure of a page.
        label: What a screen reader says.

    Returns:
        The text of one `svg` element; names in it are escaped.
    """
    (width, height), (left, right, bottom, top) = size, margins
    box = (left / width, bottom / height, (width - left - right) / width, (height - bottom - top) / height)
    with rc_context(_STYLE), warnings.catch_warnings():
        # The browser has the glyphs that matplotlib's font lacks.
        warnings.filterwarnings("ignore", message="Glyph")
        warnings.filterwarnings("ignore", category=RuntimeWarning)  # of NumPy, on numbers too great to draw
        try:
            text = _painted(paint, (width, height), box)
        except (ValueError, ArithmeticError, IndexError):  # ticks and curves may fail for extreme numbers
            text = _painted(_give_up, (width, height), box)
    return _element(text, key, label)


def _painted(
    paint: Callable[[Axes], None], size: tuple[float, float], box: tuple[float, float, float, float]
) -> str:
    figure, file = _Hinted(figsize=(size[0] / 72, size[1] / 72), dpi=72), io.StringIO()
    paint(figure.add_axes(box))
    for words in figure.findobj(Text):
        words.set_text(_letters(words.get_text()))
    figure.savefig(file, format="svg", transparent=True)
    spots = (
        f'<circle class="hint" cx="{x:.1f}" cy="{size[1] - y:.1f}" r="7">'
        f"<title>{escape(clean(words, 120))}</title></circle>"
        for x, y, words in figure.spots()
    )
    return file.getvalue().replace("</svg>", "".join(spots) + "</svg>")


class _Hinted(Figure):
    """A figure with hints that appear where the mouse rests."""

    def __init__(self, **named: Any) -> None:
        super().__init__(**named)
        self.hints: list[tuple[Axes, float, float, str]] = []

    def spots(self) -> Iterator[tuple[float, float, str]]:
        """Yield the position, in pixels from the lower left corner, and the words of each visible hint."""
        for axes, x, y, words in self.hints:
            across, up = axes.transData.transform((x, y))
            if np.isfinite([across, up]).all() and axes.bbox.contains(across, up):
                yield float(across), float(up), words


def hint(axes: Axes, x: ArrayLike, y: ArrayLike, words: Sequence[str]) -> None:
    """Show words on a page if the mouse rests on a point; do nothing in a notebook.

    Args:
        axes: The axes of the points.
        x: Shape (n,).
        y: Shape (n,); points that are not finite show nothing.
        words: One text for each point.
    """
    if isinstance(axes.figure, _Hinted):
        points = zip(np.asarray(x, float).tolist(), np.asarray(y, float).tolist(), words, strict=True)
        axes.figure.hints += [(axes, *point) for point in points]


def _give_up(axes: Axes) -> None:
    axes.set_axis_off()
    axes.text(0.5, 0.5, "These numbers cannot be drawn.", ha="center", va="center", color=FAINT)


def tidy(axes: Axes) -> None:
    """Remove the top and right lines of the frame, and draw a faint grid."""
    axes.spines[["top", "right"]].set_visible(False)
    axes.grid(color="#e3e7eb", linewidth=0.8)
    axes.set_axisbelow(True)


def legend_above(axes: Axes, handles: Sequence[Artist] | None = None) -> None:
    """Draw the legend above the axes, where it covers nothing; a page leaves `ABOVE` free for it.

    Args:
        axes: Axes whose labels are shown.
        handles: Artists to show. Default: all that have a label.
    """
    handles = axes.get_legend_handles_labels()[0] if handles is None else handles
    axes.legend(
        handles=handles,
        loc="lower left",
        bbox_to_anchor=(0.0, 1.0),
        borderaxespad=0.2,
        ncols=4,
        columnspacing=1.2,
        handletextpad=0.5,
        frameon=False,
    )


def clean(text: object, longest: int = 22) -> str:
    r"""Return a name as one short line of characters that XML can hold.

    Example:
        >>> clean("a\x00b"), clean("separable convolution 5x5", 12)
        ('a?b', 'separable c…')
    """
    line = _letters(str(text)[: longest + 1]).replace("\n", "?")
    return line if len(line) <= longest else f"{line[: longest - 1]}…"


def _letters(text: str) -> str:
    return "".join(letter if letter.isprintable() or letter == "\n" else "?" for letter in text)


def drawn(svg: str) -> Markup:
    """Mark what `draw` returned as safe HTML; names from a run folder must not get here in any other way."""
    return Markup(svg)  # ElementTree has escaped all names in it  # nosec B704


def _element(text: str, key: str, label: str) -> str:
    root = ElementTree.fromstring(text)  # written by matplotlib a moment ago  # nosec B314
    for parent in list(root.iter()):
        for child in list(parent):
            # Metadata names the maker; a style sheet in one figure would apply to the whole page.
            if child.tag in (f"{_SVG}metadata", f"{_SVG}style"):
                parent.remove(child)
    for element in root.iter():
        _prefix_ids(element, key)
        _theme(element)
    width, height = (float(size) for size in root.attrib["viewBox"].split()[2:])
    for name in ("width", "height"):
        root.attrib.pop(name)
    root.attrib |= {"role": "img", "aria-label": clean(label, 200), "stroke-linejoin": "round"}
    root.attrib["style"] = f"max-width:{width:.0f}px;aspect-ratio:{width:.0f}/{height:.0f}"
    ElementTree.register_namespace("", _SVG[1:-1])
    ElementTree.register_namespace("xlink", "http://www.w3.org/1999/xlink")
    text = ElementTree.tostring(root, encoding="unicode")
    # Between tags a quotation mark ends nothing; escaped, it is harmless if the text is moved elsewhere too.
    return re.sub(r">[^<]+<", lambda words: words[0].replace('"', "&quot;"), text)


def _theme(element: ElementTree.Element) -> None:
    """Let the page define the colours, so that figures are readable in dark mode too."""
    style = element.attrib.get("style")
    if style is not None:
        element.attrib["style"] = re.sub(
            "|".join(_THEMED), lambda colour: f"var(--{_THEMED[colour[0]]}, {colour[0]})", style
        )


def _prefix_ids(element: ElementTree.Element, key: str) -> None:
    for name, value in element.attrib.items():
        if name == "id":
            element.attrib[name] = f"{key}-{value}"
        elif name == _HREF and value.startswith("#"):
            element.attrib[name] = f"#{key}-{value[1:]}"
        elif "url(#" in value:
            element.attrib[name] = re.sub(r"url\(#", f"url(#{key}-", value)
