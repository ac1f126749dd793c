"""The folder for OptunaHub's registry has the form that it takes."""

import runpy
from pathlib import Path

import pytest
import yaml

PACKAGE = Path(__file__).parents[2] / "optunahub" / "package" / "samplers" / "asng"


def test_the_package_has_the_sampler_of_the_library():
    pytest.importorskip("optuna")
    from asng.integrations.optuna import ASNGSampler

    module = runpy.run_path(str(PACKAGE / "__init__.py"))
    assert [module[name] for name in module["__all__"]] == [ASNGSampler]


def test_the_readme_begins_with_what_the_registry_reads():
    head = yaml.safe_load((PACKAGE / "README.md").read_text().split("---\n")[1])
    assert set(head) == {"author", "title", "description", "tags", "optuna_versions", "license"}
    assert "sampler" in head["tags"]
    assert (PACKAGE / "LICENSE").read_text() == (PACKAGE.parents[3] / "LICENSE").read_text()
