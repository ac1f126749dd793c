"""Log a search to TensorBoard."""

from collections.abc import Mapping, Sequence
from os import PathLike, fspath
from typing import Any

from asng.checks import require
from asng.integrations.loggers import SearchLogger, Status

__all__ = ["TensorBoardCallback"]


class TensorBoardCallback(SearchLogger):
    """Writes a search as TensorBoard event files; see `SearchLogger` for what it writes and its errors.

    A new search in a folder with curves of an earlier one hides those. A resumed search continues its own
    curves, and hides what was written after its checkpoint.

    Args:
        folder: Where the event files go: `tensorboard --logdir FOLDER` shows it, or a folder above it.
        every: Steps from one write of numbers to the next, at least 1.
        variables: Variables whose theta is written. Default: the first 100 of the space.

    Raises:
        RunError: The extra `tensorboard` is not installed.
        InputError: `every` is not an integer of at least 1.

    Example:
        >>> import asng, tempfile, torch
        >>> from pathlib import Path
        >>> from torch.utils.data import DataLoader, TensorDataset
        >>> op = asng.nn.Choice({"a": torch.nn.Linear(2, 1), "b": torch.nn.Linear(2, 1)}, label="op")
        >>> loss = asng.supervised(torch.nn.functional.mse_loss)
        >>> x = torch.randn(32, 2)
        >>> loader = DataLoader(TensorDataset(x, x[:, :1]), batch_size=8)
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     logger = TensorBoardCallback(folder)
        ...     search = asng.OneShotSearch(asng.nn.Supernet(op), loss, final=0.0, callbacks=[logger])
        ...     result = search.fit(loader, epochs=2, progress=False)
        ...     len(list(Path(folder).glob("events.out.tfevents.*")))
        1
    """

    def __init__(
        self, folder: str | PathLike[str], *, every: int = 1, variables: Sequence[str] | None = None
    ) -> None:
        super().__init__(every=every, variables=variables)
        require("tensorboard", extra="tensorboard")
        self.folder = fspath(folder)
        self._writer: Any = None

    def open(self, run: str | None, config: Mapping[str, Any], step: int) -> str:
        """Open a new event file in the folder, and return the folder."""
        from torch.utils.tensorboard import SummaryWriter

        self._writer = SummaryWriter(self.folder, purge_step=step + 1 if step else 0)
        if run is None:
            rows = "".join(f"| {name} | `{value}` |\n" for name, value in config.items())
            self.text("search", f"| setting | value |\n| --- | --- |\n{rows}", step)
        return self.folder

    def numbers(self, values: Mapping[str, float], step: int) -> None:
        """Write scalars."""
        for name, value in values.items():
            self._writer.add_scalar(name, value, step)

    def text(self, name: str, text: str, step: int) -> None:
        """Write a text."""
        self._writer.add_text(name, text, step)

    def shut(self, status: Status) -> None:
        """Close the event file."""
        self.text("status", status, self.loop.state.step)
        self._writer.close()
