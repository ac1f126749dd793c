"""asng report --watch as a command: what it prints, and how it ends."""

import os
import signal
import socket
import threading
import time
import urllib.error
import urllib.request

import pytest
from command_lines import fails, told
from run_folders import write_small_run

import asng
from asng.cli.tell import KINDS
from asng.report.live import _Pages


def free_port():
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return one.getsockname()[1]


def opened(port):
    """Return the page as soon as it is served."""
    end = time.monotonic() + 60
    while True:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/", timeout=60) as page:
                return page.read().decode()
        except urllib.error.URLError:
            assert time.monotonic() < end
            time.sleep(0.01)


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_it_serves_the_page_until_a_signal_and_says_one_line(number, code, tmp_path, capsys):
    folder, port, pages = write_small_run(tmp_path / "run"), free_port(), []

    def open_and_end():
        pages.append(opened(port))
        os.kill(os.getpid(), number)

    thread = threading.Thread(target=open_and_end)
    thread.start()
    out, err = told(["report", str(folder), "--watch", "--port", str(port)], capsys, code)
    thread.join()
    assert "<h1>run</h1>" in pages[0]
    assert out == f"http://127.0.0.1:{port}/ shows {folder}; press ctrl-C to stop\n"
    assert err == f"asng: {folder} is no longer shown. A run in it continues.\n"
    assert not (folder / "report.html").exists()


def test_a_port_without_watch_is_refused(tmp_path, capsys):
    folder = write_small_run(tmp_path / "run")
    said = fails(["report", str(folder), "--port", "8000"], capsys)
    assert said == "asng report: port: expected only with --watch, got 8000 without it. Add --watch.\n"


def test_a_black_box_is_shown_as_its_report(tmp_path):
    space = asng.Space({"width": asng.Integer(1, 64)})
    asng.minimize(lambda a: abs(a["width"] - 40), space, budget=24, run_dir=tmp_path / "box")
    status, text = _Pages(tmp_path / "box", KINDS).page("/")
    assert status == 200
    assert "<h1>box</h1>" in text
    assert 'class="live"' in text
    assert "<code>width</code>" in text.partition('class="live"')[2].partition("</section>")[0]
