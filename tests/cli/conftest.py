"""A folder with a user's package in it, where the user stands."""

import pytest
from user_package import write_package


@pytest.fixture(scope="session")
def home(tmp_path_factory):
    folder = tmp_path_factory.mktemp("home")
    write_package(folder, "owned")
    return folder


@pytest.fixture
def at_home(home, monkeypatch):
    monkeypatch.chdir(home)
