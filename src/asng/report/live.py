"""The live report of a run, as a page that only this machine can open.

A small server reads the run folder again if it has changed, as `write_report` would, and writes nothing. The
page has no script: the browser is told to reload it.
"""

import math
import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from os import PathLike
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import unquote

from asng.checks import as_path, integer_at_least
from asng.errors import InputError, RunError
from asng.report.excerpts import MOST_PAGES, MOST_ROWS, cut
from asng.report.html import TEMPLATES, Page, RunKind, need_figures, pages_of, rendered
from asng.report.words import UNKNOWN, duration, mean_and_spread, share
from asng.runs.events import Normal
from asng.runs.folder import LOG, NAMES, REPORT
from asng.runs.history import Log, read_log
from asng.space import Categorical, Integer, Real, Variable

__all__ = ["PORT", "seconds_left", "watch_report"]

PORT = 8421
"""Default port of the page, so that its address is always the same."""
_HOST = "127.0.0.1"
"""The address that nobody else on the network can reach."""
_REFRESH, _REFRESH_ENDED = 5, 30
"""Seconds after which a page is reloaded, while the run continues and once its search is over."""
_REST = 5.0
"""A page is not rebuilt for this many times as long as it took: it uses at most a sixth of a core."""
_RECENT = 0.25
"""Share of the steps so far, the latest, whose time predicts the rest: the first ones only train weights."""
_MOST_STEPS, _LONGEST = 1e12, 1e9
"""Most steps, and most seconds left, of a log of ours."""
_HEADERS = {
    "Content-Type": "text/html; charset=utf-8",
    "Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'; img-src data:",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-store",
}


def watch_report(
    run_dir: str | PathLike[str],
    *,
    port: int = PORT,
    kinds: Sequence[RunKind] = (),
    ready: Callable[[str], object] | None = None,
) -> None:
    """Serve the report of a run on this machine, updated while the run continues, until ctrl-C.

    The page has the content of `report.html` as far as it exists, and above it the likeliest architecture so
    far and the time left. Nothing is written. If the folder does not exist yet, or is empty, the page waits
    for it.

    Args:
        run_dir: The run folder.
        port: Port of 127.0.0.1, in [0, 65535]; 0 for any free one.
        kinds: Kinds of runs besides searches that the folder may hold.
        ready: Called with the address once the page can be opened.

    Raises:
        InputError: The port is not valid, or is in use; or the system cannot look for the folder.
        RunError: The extra `report` is not installed.
        KeyboardInterrupt: Ctrl-C.

    Example:
        >>> watch_report("runs/a", ready=print)   # doctest: +SKIP
        http://127.0.0.1:8421/
    """
    need_figures()
    with _server(as_path("run_dir", run_dir, to_read=True), port, kinds) as server:
        if ready is not None:
            ready(f"http://{_HOST}:{server.server_port}/")
        server.serve_forever(poll_interval=0.2)


class _Server(ThreadingHTTPServer):
    """A server with a thread per request, since browsers keep idle connections open."""

    daemon_threads = True
    allow_reuse_address = True

    def __init__(self, port: int, pages: "_Pages") -> None:
        super().__init__((_HOST, port), _Handler)
        self.pages = pages

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Ignore a browser that has closed the connection."""
        if not isinstance(sys.exc_info()[1], OSError):
            super().handle_error(request, client_address)


def _server(folder: Path, port: int, kinds: Sequence[RunKind]) -> _Server:
    if integer_at_least("port", port, 0) > 65535:
        raise InputError(f"port: expected a number in [0, 65535], got {port}.")
    try:
        return _Server(port, _Pages(folder, kinds))
    except OSError as error:
        raise InputError(
            f"port: expected a free port on {_HOST}, got {port} ({error.strerror}). Choose another one, "
            "or 0 for any."
        ) from error


class _Handler(BaseHTTPRequestHandler):
    """Answers with the pages of the run, and nothing else."""

    server: _Server
    timeout = 20.0
    server_version, sys_version = "asng", ""

    def do_GET(self) -> None:
        """Send a page."""
        self._answer(body=True)

    def do_HEAD(self) -> None:
        """Send the headers of a page."""
        self._answer(body=False)

    def log_message(self, *args: Any) -> None:
        """Log no requests."""

    def _answer(self, *, body: bool) -> None:
        # A foreign site could point its own name at this machine, and read what is served.
        name = self.headers.get("Host", "").partition(":")[0]
        if name not in (_HOST, "localhost"):
            self.send_error(HTTPStatus.FORBIDDEN)
            return
        status, text = self.server.pages.page(unquote(self.path.partition("?")[0]))
        content = text.encode()
        self.send_response(status)
        for header, value in {**_HEADERS, "Content-Length": str(len(content))}.items():
            self.send_header(header, value)
        self.end_headers()
        if body:
            self.wfile.write(content)


class _Made(NamedTuple):
    """Pages, and the signature of the files that they were made from."""

    signature: object
    at: float
    took: float
    status: HTTPStatus
    texts: Mapping[str, str]


class _Pages:
    """The pages of a run folder by path, made on request if the folder has changed."""

    def __init__(self, folder: Path, kinds: Sequence[RunKind]) -> None:
        self._folder, self._kinds = folder, kinds
        self._made: _Made | None = None
        self._lock = threading.Lock()  # matplotlib draws in one thread

    def page(self, path: str) -> tuple[HTTPStatus, str]:
        """Return the status and the text of a page."""
        with self._lock:
            made = self._made
            if made is None or time.monotonic() - made.at > _REST * made.took:
                signature = _signature(self._folder)
                if made is None or made.signature != signature:
                    made = self._made = self._make(signature)
        home = made.texts["/"]
        if made.status is not HTTPStatus.OK or path in ("/", f"/{REPORT}"):
            return made.status, home
        if path in made.texts:
            return made.status, made.texts[path]
        return HTTPStatus.NOT_FOUND, self._said(f"{cut(path)}: no such page.")

    def _make(self, signature: object) -> _Made:
        began, status = time.monotonic(), HTTPStatus.OK
        if not any((self._folder / name).exists() for name in NAMES):
            texts = {"/": self._said("There is no run in this folder yet. This page waits for it.")}
        else:
            try:
                pages = pages_of(self._folder, self._kinds)
                texts = {self._path(page): rendered(page, live=_live(page.folder)) for page in pages}
            except RunError as error:  # a file is damaged, or is being written
                status, texts = HTTPStatus.INTERNAL_SERVER_ERROR, {"/": self._said(f"{error}")}
        now = time.monotonic()
        return _Made(signature, now, now - began, status, texts)

    def _path(self, page: Page) -> str:
        return "/" if page.folder == self._folder else f"/{page.folder.name}/{REPORT}"

    def _said(self, words: str) -> str:
        """Return a page with one sentence."""
        values = {"title": self._folder.resolve().name, "mood": "unknown", "verdict": words}
        live = {"refresh": _REFRESH, "facts": [], "likeliest": []}
        return rendered(Page(self._folder, TEMPLATES / "waiting.html.j2", values), live=live)


def _signature(folder: Path) -> object:
    """Return a value that changes if a file of a run, or of one of its seeds, changes."""
    folders = [folder]
    with suppress(OSError):
        folders += sorted(one for one in folder.iterdir() if one.is_dir())[:MOST_PAGES]
    return [_stamp(home / name) for home in folders for name in NAMES if name != REPORT]


def _stamp(path: Path) -> tuple[int, int] | None:
    try:
        status = path.lstat()
    except (OSError, ValueError):
        return None
    return status.st_mtime_ns, status.st_size


def _live(folder: Path) -> Mapping[str, Any]:
    """Return what a live page shows above the report."""
    log = read_log(folder / LOG)
    facts = []
    if (left := seconds_left(log)) is not None and log.end is None:
        facts.append(("left of the search", f"about {duration(left)}"))
    if len(log.steps):
        of = "" if log.start.steps is None else f" of {log.start.steps:,}"
        facts.append(("steps", cut(f"{log.steps.step[-1]:,.0f}{of}")))
        facts += _last(log)
    if log.finalists and log.start.final:
        of = cut(log.start.final.get("finalists", "?"))
        facts.append(("finalists trained", f"{len(log.finalists)} of {of}"))
    return {
        "refresh": _REFRESH if log.end is None else _REFRESH_ENDED,
        "facts": facts,
        "likeliest": _likeliest(log),
    }


def _last(log: Log) -> list[tuple[str, str]]:
    """Return the last known loss, objective and entropy."""
    rows = []
    for name in ("loss", "objective", "entropy"):
        values = getattr(log.steps, name)
        known = values[~(values != values)]
        if len(known):
            rows.append((name, f"{known[-1]:.4g}"))
    return rows


def seconds_left(log: Log) -> float | None:
    """Return how long a search will still take, from the time of its latest steps; None if that is unknown.

    For a one-shot search, this covers the remaining steps and the first training of each finalist, without
    what is trained afterwards; for `asng.minimize`, the remaining calls.

    Args:
        log: The log of a run.

    Returns:
        Seconds from the last line of the log on.
    """
    steps, start = log.steps, log.start
    if start.final and log.finalists:
        return _left_of_final(log)
    if len(steps) < 2:
        return None
    begin = max(0, min(len(steps) - 2, int((1.0 - _RECENT) * len(steps))))
    spent = steps.seconds[-1] - steps.seconds[begin]
    if start.budget is not None:
        total, done = start.budget, len(log.calls)
        recent = done * (len(steps) - 1 - begin) / len(steps)
    elif start.steps is not None:
        # A step of a finalist only trains weights, which takes at most as long as a step of the search.
        final = start.final or {}
        count, alone = (_whole(final.get(name)) for name in ("finalists", "steps"))
        total, done = start.steps + count * alone, steps.step[-1]
        recent = steps.step[-1] - steps.step[begin]
    else:
        return None
    if not (math.isfinite(spent) and spent >= 0.0 and recent > 0 and total < _MOST_STEPS):
        return None
    left = max(0.0, float(total - done) * float(spent / recent))
    return left if left < _LONGEST else None


def _left_of_final(log: Log) -> float | None:
    """Return how long the remaining finalists will take, from the time of those that were trained."""
    began = float(log.steps.seconds[-1]) if len(log.steps) else 0.0
    known = [one.seconds for one in log.finalists if one.seconds is not None]
    left = _whole((log.start.final or {}).get("finalists")) - len(log.finalists)
    if not known or not 0 < left < _MOST_STEPS or not max(known) > began:
        return None
    seconds = left * (max(known) - began) / len(log.finalists)
    return seconds if seconds < _LONGEST else None


def _whole(value: object) -> int:
    return value if isinstance(value, int) and not isinstance(value, bool) else 0


def _likeliest(log: Log) -> list[tuple[str, str, str, str]]:
    """Return each variable's name, its likeliest value, and how sure theta is, in words and as a bar."""
    if not log.theta or log.space is None:
        return []
    theta = log.theta[-1][1]
    names = [name for name in log.space if name in theta][:MOST_ROWS]
    return [(cut(name), *_mode(log.space[name], theta[name])) for name in names]


def _mode(variable: Variable, theta: Any) -> tuple[str, str, str]:
    if isinstance(variable, Categorical) and not isinstance(theta, Normal):
        known = [-1.0 if p is None or math.isnan(p) else p for p in theta]
        best = max(range(len(known)), key=known.__getitem__)
        if known[best] < 0.0:
            return "", UNKNOWN, ""
        bar = f"{100 * known[best]:.0f}" if 0.0 <= known[best] <= 1.0 else ""
        return cut(variable.choices[best]), share(known[best]), bar
    if isinstance(variable, (Integer, Real)) and isinstance(theta, Normal):
        words = mean_and_spread(theta.mean, theta.std, log=variable.log)
        return words.partition(" ")[0], words, ""
    return "", "", ""
