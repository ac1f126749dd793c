"""The live page: what it shows of a run at each stage, and who can open it."""

import http.client
import json
import socket
import threading
from contextlib import contextmanager
from unittest import mock

import pytest
from run_folders import write_enas_run, write_lines, write_log, write_small_run

from asng.errors import InputError
from asng.report import live, watch_report
from asng.report.live import seconds_left
from asng.runs.history import read_log


@contextmanager
def watched(folder):
    """Give what asks for a page of a folder: its status, text and headers."""
    with mock.patch.object(live, "_REST", 0.0), live._server(folder, 0, ()) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()

        def ask(path="/", method="GET", **headers):
            connection = http.client.HTTPConnection("127.0.0.1", server.server_port, timeout=20)
            connection.request(method, path, headers=headers)
            answer = connection.getresponse()
            text = answer.read().decode()
            connection.close()
            return answer.status, text, answer.headers

        try:
            yield ask
        finally:
            server.shutdown()
            thread.join()


def test_a_folder_is_waited_for_and_shown_as_soon_as_there_is_a_run(tmp_path):
    folder = tmp_path / "run"
    with watched(folder) as ask:
        assert "This page waits for it" in ask()[1]
        folder.mkdir()
        assert "This page waits for it" in ask()[1]
        write_log(folder, steps=40, end=None)
        status, text, _ = ask()
    assert status == 200
    assert "not ended: the last step logged is 40" in text
    assert "This page waits" not in text
    assert [path.name for path in folder.iterdir()] == ["log.jsonl"]  # nothing is written


def test_the_likeliest_architecture_and_the_last_figures_stand_above_the_report(tmp_path):
    found = write_log(tmp_path, steps=40, end=None)
    with watched(tmp_path) as ask:
        text = ask()[1]
    above = text[text.index('class="live"') : text.index("Progress of the search")]
    assert f"<b>{found['op']}</b>" in above
    assert "steps: <b>40</b>" in above
    assert "entropy: <b>0.25</b>" in above
    assert '<meta http-equiv="refresh" content="5">' in text


def test_a_page_is_made_anew_only_if_the_folder_changed(tmp_path):
    write_small_run(tmp_path / "run")
    with watched(tmp_path / "run") as ask, mock.patch.object(live, "pages_of", wraps=live.pages_of) as made:
        first = ask()[1]
        assert ask()[1] == first
        assert made.call_count == 1
        write_log(tmp_path / "run", steps=80)
        assert ask()[1] != first
    assert made.call_count == 2


def test_a_damaged_file_is_an_error_on_the_page_until_it_is_sound(tmp_path):
    write_small_run(tmp_path / "<run>")
    good = (tmp_path / "<run>" / "result.json").read_text()
    with watched(tmp_path / "<run>") as ask:
        (tmp_path / "<run>" / "result.json").write_text("[")
        status, text, _ = ask()
        assert (status, "result.json" in text, "<run>" in text) == (500, True, False)
        (tmp_path / "<run>" / "result.json").write_text(good)
        assert ask()[0] == 200


def test_each_seed_has_its_page(tmp_path):
    scores = {"found": 0.8, "random_mean": 0.7, "random_sd": 0.1, "inherited": 0.6}
    seeds = [{"seed": 0, "folder": "seed-0", **scores}, {"seed": 1, "folder": "seed-1", **scores}]
    summary = {"metric": "accuracy", "higher_is_better": True, "seeds": seeds}
    (tmp_path / "summary.json").write_text(json.dumps(summary))
    write_enas_run(tmp_path / "seed-0", steps=40)
    with watched(tmp_path) as ask:
        assert 'href="seed-0/report.html"' in ask()[1]
        assert "<h1>seed-0</h1>" in ask("/seed-0/report.html")[1]
        assert ask("/seed-1/report.html")[0] == 404


@pytest.mark.parametrize(
    "path", ["/../secret", "/log.jsonl", "/%2e%2e/secret", "/seed-0/report.html", "//etc/passwd", "/<b>"]
)
def test_nothing_else_is_served(path, tmp_path):
    (tmp_path / "secret").write_text("of the user")
    write_small_run(tmp_path / "run")
    with watched(tmp_path / "run") as ask:
        status, text, _ = ask(path)
    assert status == 404
    assert "of the user" not in text
    assert "<b>:" not in text


@pytest.mark.parametrize(("host", "status"), [("127.0.0.1", 200), ("localhost", 200), ("evil.example", 403)])
def test_a_page_from_elsewhere_cannot_read_it_by_a_name_of_its_own(host, status, tmp_path):
    with watched(tmp_path) as ask:
        assert ask(Host=f"{host}:8421")[0] == status
        assert ask(Host=host)[0] == status


def test_it_has_no_script_and_may_load_nothing(tmp_path):
    write_small_run(tmp_path / "run")
    with watched(tmp_path / "run") as ask:
        _, text, headers = ask()
        assert ask(method="HEAD")[1] == ""
        assert ask(method="POST")[0] == 501
    assert headers["Content-Security-Policy"].startswith("default-src 'none'; style-src 'unsafe-inline'")
    assert "<script" not in text


def test_only_this_machine_can_connect(tmp_path):
    with live._server(tmp_path, 0, ()) as server:
        assert server.server_address[0] == "127.0.0.1"


def test_a_port_in_use_is_one_clear_error(tmp_path):
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        with pytest.raises(InputError, match=rf"port: expected a free port on 127.0.0.1, got {port} \("):
            watch_report(tmp_path, port=port)


@pytest.mark.parametrize("port", [-1, 65536, 1.5])
def test_a_port_that_is_none_is_refused(port, tmp_path):
    with pytest.raises(InputError, match="port: expected"):
        watch_report(tmp_path, port=port)


def steps(start, count, seconds):
    return [
        {"event": "start", **start},
        *({"event": "step", "step": k, "loss": 1.0, "seconds": seconds(k)} for k in range(1, count + 1)),
    ]


def left(tmp_path, events):
    write_lines(tmp_path / "log.jsonl", events)
    return seconds_left(read_log(tmp_path / "log.jsonl"))


def test_the_time_left_is_told_by_the_latest_steps(tmp_path):
    # The first half took a second a step, the second half two.
    events = steps({"steps": 60}, 40, lambda k: k + max(0, k - 20))
    assert left(tmp_path, events) == pytest.approx(20 * 2.0)


def test_the_final_counts_as_its_steps(tmp_path):
    final = {"finalists": 4, "steps": 10}
    events = steps({"steps": 40, "final": final}, 40, float)
    assert left(tmp_path, events) == pytest.approx(40.0)


def test_in_the_final_the_finalists_tell_the_time(tmp_path):
    events = steps({"steps": 40, "final": {"finalists": 4, "steps": 10}}, 40, float)
    for number, seconds in ((1, 45.0), (2, 50.0)):
        events.append({"event": "finalist", "number": number, "architecture": {}, "seconds": seconds})
    assert left(tmp_path, events) == pytest.approx(2 * 5.0)
    # A search may have no steps, but a final.
    assert left(tmp_path, [events[0], *events[-2:]]) == pytest.approx(2 * 25.0)
    events += [events[-1] | {"number": number} for number in (3, 4)]
    assert left(tmp_path, events) is None  # the best are trained anew: how long is not in the log


def test_the_time_left_of_a_black_box_is_that_of_its_calls(tmp_path):
    events = steps({"kind": "minimize", "budget": 100}, 5, lambda k: 4.0 * k)
    call = {"event": "evaluation", "generation": 0, "architecture": {"a": 1}, "loss": 1.0, "seconds": 1.0}
    events += [{**call, "place": k} for k in range(20)]
    assert left(tmp_path, events) == pytest.approx(80.0)


HUGE = 10**400


@pytest.mark.parametrize(
    "events",
    [
        steps({"steps": HUGE, "final": {"finalists": HUGE, "steps": HUGE}}, 4, float),
        steps({"steps": 9, "final": {"finalists": "many", "steps": [1]}}, 4, float),
        steps({"kind": "minimize", "budget": HUGE}, 4, float),
        steps({"steps": 9}, 4, lambda k: 1e308 * k),
        [
            {
                "event": "start",
                "steps": 3,
                "space": {"a": {"type": "categorical", "choices": ["<b>", "x" * 9999]}},
            },
            {"event": "theta", "step": 1, "theta": {"a": [None, None]}},
        ],
        [
            {"event": "start", "space": {"a": {"type": "real", "low": 1, "high": 2, "log": True}}},
            {"event": "theta", "step": 1, "theta": {"a": {"mean": 1e308, "std": 1e308}}},
        ],
        [
            {"event": "finalist", "number": 1, "architecture": {}},
            {"event": "start", "final": {"finalists": "<b>"}},
        ],
    ],
    ids=range(7),
)
def test_a_log_of_a_stranger_gives_a_page_or_one_error(events, tmp_path):
    write_lines(tmp_path / "log.jsonl", events)
    with watched(tmp_path) as ask:
        status, text, _ = ask()
    assert status in (200, 500)
    assert "<b><b>" not in text
    assert len(text) < 100_000
    assert "Traceback" not in text


def test_probabilities_that_are_missing_are_no_percentages(tmp_path):
    space = {"a": {"type": "categorical", "choices": ["x", "y"]}}
    events = [{"event": "start", "space": space}, {"event": "theta", "step": 1, "theta": {"a": [None, None]}}]
    write_lines(tmp_path / "log.jsonl", events)
    with watched(tmp_path) as ask:
        above = ask()[1].partition('class="live"')[2].partition("</section>")[0]
    assert "%" not in above


@pytest.mark.parametrize(
    "events",
    [
        [],
        steps({"steps": 9}, 1, float),
        steps({}, 5, float),
        steps({"steps": 9}, 5, lambda k: -k),
        steps({"steps": 9}, 5, lambda k: None),
    ],
)
def test_what_cannot_be_told_is_left_out(events, tmp_path):
    assert left(tmp_path, events) is None


def test_an_address_that_is_none_is_answered_too(tmp_path, capfd):
    with watched(write_small_run(tmp_path)) as ask:
        assert ask("http://[x", Host="127.0.0.1")[0] == 404
    assert capfd.readouterr().err == ""
