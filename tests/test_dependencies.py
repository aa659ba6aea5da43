"""What a package imports is declared, and is not only there because something else needs it."""

import ast
import re
import sys
import tomllib
from functools import cache
from importlib.metadata import packages_distributions

import pytest

from tests.support import ROOT

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
OWN = {path.name for path in ROOT.iterdir() if (path / "__init__.py").exists()}
# The program and its command line are installed without the tools that test them
RUNTIME = ["agent", "catalogue", "components", "infra", "rendering"]
DEVELOPMENT = ["benchmarks", "lab", "tests"]


def names(requirements: list[str]) -> set[str]:
    return {re.split(r"[^\w.-]", text)[0].lower().replace("_", "-") for text in requirements}


DEPENDENCIES = names(PROJECT["project"]["dependencies"])
OF_THE_TESTS = DEPENDENCIES | names(PROJECT["dependency-groups"]["dev"])


@cache
def distributions() -> dict[str, list[str]]:
    return {
        module: [name.lower().replace("_", "-") for name in found] for module, found in packages_distributions().items()
    }


def imported(package: str) -> dict[str, str]:
    """Top-level modules of others that a package imports → one of its files that does."""
    files = sorted((ROOT / package).rglob("*.py")) if (ROOT / package).is_dir() else [ROOT / package]
    modules = {}
    for path in files:
        for node in ast.walk(ast.parse(path.read_text())):
            full = []
            if isinstance(node, ast.Import):
                full = [alias.name for alias in node.names]
            elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
                full = [node.module]
            modules |= {name.split(".")[0]: str(path.relative_to(ROOT)) for name in full}
    return {name: path for name, path in modules.items() if name not in sys.stdlib_module_names | OWN}


@pytest.mark.parametrize("package", [*RUNTIME, "__main__.py", *DEVELOPMENT])
def test_imported_packages_are_declared(package):
    declared = OF_THE_TESTS if package in DEVELOPMENT else DEPENDENCIES
    missing = {
        module: path
        for module, path in imported(package).items()
        if module in distributions() and not declared & set(distributions()[module])
    }
    assert not missing
