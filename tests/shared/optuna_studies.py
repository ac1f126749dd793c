"""Optuna for tests, which are passed over without it."""

import pytest

optuna = pytest.importorskip("optuna")

__all__ = ["optuna", "quiet"]


@pytest.fixture(autouse=True)
def quiet():
    """No line a trial."""
    before = optuna.logging.get_verbosity()
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    yield
    optuna.logging.set_verbosity(before)
