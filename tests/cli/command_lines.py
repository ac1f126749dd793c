"""Command lines as a user gives them, and what they say."""

from asng.cli import main


def told(words, capsys, code=0):
    """Run a command line, and return what it said on both outputs."""
    try:
        got = main(words)
    except SystemExit as stop:
        got = stop.code
    out, err = capsys.readouterr()
    assert got == code, err
    assert "Traceback" not in out + err
    return out, err


def fails(words, capsys, code=1):
    """Run a command line that must fail, and return what it said on standard error."""
    return told(words, capsys, code)[1]
