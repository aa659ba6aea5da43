"""The picture in ARCHITECTURE.md, held true."""

import ast
import re
import sys
from pathlib import Path

import pytest

from tests.support import ROOT

# Of the agent rendering imports only the types of what it writes for it
PURE = {"catalogue": set(), "rendering": {"catalogue", "agent"}, "agent": set()}
MAY = {
    **PURE,
    "components": {"catalogue", "rendering", "agent"},
    "policy": {"catalogue", "rendering"},
    "infra": {"catalogue", "rendering", "agent", "policy"},
}
FOREIGN = {"catalogue": {"pydantic", "yaml"}, "rendering": {"yaml", "jinja2"}, "agent": set()}
DESCRIBING = ("catalogue", "rendering", "agent")
OURS = {"agent", "benchmarks", "catalogue", "components", "infra", "lab", "policy", "rendering", "tests"}


def imported(path: Path) -> set[str]:
    names = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            names |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            names.add(node.module.split(".")[0])
    return names


@pytest.mark.parametrize("package", MAY)
def test_packages_import_only_allowed_packages(package):
    for path in (ROOT / package).rglob("*.py"):
        assert imported(path) & OURS <= MAY[package] | {package}, path


@pytest.mark.parametrize("package", PURE)
def test_pure_packages_import_no_pulumi_and_no_network(package):
    for path in (ROOT / package).rglob("*.py"):
        foreign = imported(path) - OURS - set(sys.stdlib_module_names)
        assert foreign <= FOREIGN[package], path


def test_rendering_knows_only_the_documents_of_the_agent():
    for path in (ROOT / "rendering").rglob("*.py"):
        modules = {name for name in imported_modules(path) if name.split(".")[0] == "agent"}
        assert all(name.startswith("agent.documents") for name in modules), path


def test_no_kind_of_service_knows_another():
    kinds = {"compose", "units"}
    for kind in kinds:
        text = (ROOT / f"rendering/{kind}.py").read_text()
        assert not re.search(rf"(rendering\.|import .*\b)({'|'.join(kinds - {kind})})\b", text), kind


def test_a_proxy_is_chosen_by_its_description_and_never_by_its_name():
    """A third one is then modules of its name alone. What is read off a hand-made host is of Nginx and Caddy."""
    places = (*(f"{name}/proxies/" for name in DESCRIBING), "infra/adopt/", "lab/", "infra/preview/existing_on_host.py")
    own = tuple(f"{ROOT}/{place}" for place in places)
    choosing = [
        f"{path.relative_to(ROOT)}:{node.lineno}"
        for folder in MAY
        for path in (ROOT / folder).rglob("*.py")
        if not str(path).startswith(own)
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Constant)
        and isinstance(node.value, str | bytes)
        and re.fullmatch(r"(?i)nginx|caddy|.*\bproxy: (nginx|caddy)\b.*", _text(node.value), re.DOTALL)
    ]
    assert choosing == []


def _text(value: str | bytes) -> str:
    return value if isinstance(value, str) else value.decode(errors="replace")


def test_only_the_lab_knows_that_a_lab_exists():
    folders = ["agent", "catalogue", "components", "files", "infra", "policy", "rendering"]
    paths = [
        ROOT / "__main__.py",
        *(path for folder in folders for path in (ROOT / folder).rglob("*") if path.is_file()),
    ]
    knowing = [
        str(p) for p in paths if p.suffix != ".pyc" and re.search(r"\blab\b|rehears", p.read_text(), re.IGNORECASE)
    ]
    assert not knowing


def test_no_file_has_grown_past_a_few_hundred_lines():
    for folder in [*MAY, "lab", "tests"]:
        for path in (ROOT / folder).rglob("*.py"):
            assert len(path.read_text().splitlines()) <= 350, path


def imported_modules(path: Path) -> set[str]:
    """Every module that a file may mean by its imports, by its full name; of relative imports the last part counts."""
    names = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            names |= {node.module or "", *(f"{node.module or ''}.{alias.name}" for alias in node.names)}
    return names


def test_a_test_module_is_imported_by_no_other():
    """Helpers are in plain modules: a test file can be moved, split or run alone."""
    tests = {path.stem for path in (ROOT / "tests").rglob("test_*.py")}
    importing = {
        f"{path.relative_to(ROOT)}: {name}"
        for path in (ROOT / "tests").rglob("*.py")
        for name in imported_modules(path)
        # A function may be called test_…, and a name that is no file is none
        if tests & set(name.split("."))
    }
    assert importing == set()


def test_folders_of_the_picture_exist():
    text = (ROOT / "ARCHITECTURE.md").read_text()
    picture = text[text.index("    __main__.py") : text.index("## Who may")]
    for line in picture.splitlines():
        for name in re.findall(r"^ {4}((?:\S+/ +)+|\S+)", line):
            for room in name.split():
                assert (ROOT / room).exists(), room
    for path in re.findall(r"`((?:lab|agent|catalogue|components|rendering|files|tests)/[\w/.-]+)`", text):
        assert (ROOT / path).exists(), path
