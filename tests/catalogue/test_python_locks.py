"""What `infra check` says of a lock, and what a lock says of the hosts that an environment is made on."""

import pytest

from catalogue import python_locks
from catalogue.checks import check
from catalogue.python import PythonEnvironment
from catalogue.sizes import INSTANCE_TYPES
from rendering.host import render
from tests.catalogue.pythons import ANY, ON_ARM, ON_INTEL, lock, package, with_lock
from tests.support import whole


def architecture() -> str:
    return INSTANCE_TYPES[whole().stack.ec2_hosts["services"].instanceType].architecture


OURS, OTHERS = (ON_ARM, ON_INTEL) if architecture() == "arm64" else (ON_INTEL, ON_ARM)
GOOD = lock(package("gunicorn", ANY))
EXAMPLES = {
    "no TOML": (lock()[:-4] + b"= [", {}, "files/static/recall/python/uv.lock: line "),
    "no project": (package("gunicorn", ANY).encode(), {}, "uv.lock has no project in it; must be the file that uv lock writes"),
    "group": (GOOD, {"groups": ["gup"]}, "python: group 'gup'; did you mean 'gpu'?"),
    "extra": (GOOD, {"extras": ["slow"]}, "python: extra 'slow'; extras of the project: fast"),
    "too old": (GOOD, {"version": "3.9"}, "version 3.9, and files/static/recall/python/uv.lock is for >=3.10"),
    "too new": (lock(requires=">=3.10,<3.12"), {"version": "3.12"}, "version 3.12, and files/static"),
    "beside the project": (
        lock(package("gunicorn", source='source = { editable = "../lib" }')), {},
        "package gunicorn of files/static/recall/python/uv.lock is a local path (../lib), which does not exist on hosts",
    ),
    "another processor": (lock(package("gunicorn", OTHERS)), {}, "uv.lock has no wheel of gunicorn for services ("),
    "another processor, further down": (
        lock(package("gunicorn", ANY, needs='dependencies = [{ name = "lib" }]'), package("lib", OTHERS)), {},
        "uv.lock has no wheel of lib for services (",
    ),
    "another Python": (
        lock(package("gunicorn", OURS)), {"version": "3.12"}, f"Linux on {architecture()} and Python 3.12)",
    ),
    "in an extra": (lock(package("gunicorn", ANY), package("speedup", OTHERS)), {"extras": ["fast"]}, "no wheel of speedup"),
    "in a group": (lock(package("gunicorn", ANY), package("cuda", OTHERS)), {"groups": ["gpu"]}, "no wheel of cuda"),
}  # fmt: skip


def found(made) -> list[str]:
    return [str(problem) for problem in check(made) if "recall" in str(problem) and "is missing" not in str(problem)]


@pytest.mark.parametrize("name", EXAMPLES)
def test_fault_of_a_lock_is_one_line(name):
    text, own, said = EXAMPLES[name]
    (line,) = found(with_lock(text, **own))
    assert line.startswith("error: ") and said in line, line


GOOD_ONES = {
    "any": (GOOD, {}),
    "for the host": (lock(package("gunicorn", OURS)), {"version": "3.11"}),
    "for the host, by any Python": (lock(package("gunicorn", OURS)), {}),
    "a stable interface": (lock(package("gunicorn", OURS.replace("cp311-cp311", "cp38-abi3"))), {"version": "3.12"}),
    "what a group has that is not installed": (lock(package("gunicorn", ANY), package("cuda", OTHERS)), {}),
    "what is for another system": (
        lock(package("lib", OTHERS), needs='{ name = "lib", marker = "sys_platform == \'win32\'" }'),
        {},
    ),
    "a fork": (
        lock(package("gunicorn", OTHERS), package("gunicorn", ANY).replace('"1.0"', '"2.0"')),
        {},
    ),
    "the last Python before the end": (lock(requires=">=3.10,<3.13"), {"version": "3.12"}),
}


@pytest.mark.parametrize("name", GOOD_ONES)
def test_installable_lock_has_no_problem(name):
    text, own = GOOD_ONES[name]
    assert found(with_lock(text, **own)) == []


@pytest.mark.parametrize(
    "one",
    [
        package("gunicorn", OTHERS, sdist=True),
        package("gunicorn", source='source = { git = "https://x.example/a" }'),
        package("gunicorn", sdist=True),
    ],
)
def test_package_built_on_the_host_is_a_warning(one):
    (line,) = found(with_lock(lock(one)))
    assert line.startswith(
        "warning: files/systems/recall.yaml: service recall-api: python: files/static/recall/python/"
    )
    assert "uv.lock has no wheel of gunicorn, so that the host builds it; must be a version with a wheel; else" in line


def test_size_of_an_environment_is_that_of_its_wheels():
    text = lock(package("gunicorn", ANY, OURS, OTHERS, needs='dependencies = [{ name = "lib" }]'), package("lib", OURS))
    made = with_lock(text)
    (entry,) = render(made, "services").environments
    assert entry.needs == 2 * 1000 * python_locks.UNPACKED
    assert entry.lock == "/etc/infra/environments/recall-api"
    paths = {file.path for file in render(made, "services").files}
    assert {f"{entry.lock}/pyproject.toml", f"{entry.lock}/uv.lock"} <= paths


@pytest.mark.parametrize(
    ("text", "own", "same"),
    [
        (GOOD, {"limit": "30m", "index": "https://mirror.example/simple/"}, True),
        (GOOD + b"\n", {}, False),
        (GOOD, {"version": "3.11"}, False),
        (GOOD, {"groups": ["gpu"]}, False),
        (GOOD, {"extras": ["fast"]}, False),
    ],
)
def test_changed_environment_has_another_folder(text, own, same):
    folders = [render(made, "services").environments[0].folder for made in (with_lock(GOOD), with_lock(text, **own))]
    assert (folders[0] == folders[1]) is same


def test_the_unit_is_restarted_with_its_environment_and_its_program_is_known():
    files = render(with_lock(GOOD), "services")
    (entry,) = files.environments
    assert entry.programs == ["/srv/recall/venv/bin/gunicorn"] and entry.scripts == []
    (unit,) = [unit for unit in files.units if unit.name == "recall-api.service"]
    assert "/srv/recall/venv" in unit.files
    assert [(link.path, link.target) for link in files.links if link.path == entry.into] == [(entry.into, entry.folder)]


@pytest.mark.parametrize(
    "own",
    [
        {"lock": "../x"}, {"lock": "recall/python/"}, {"version": "3"}, {"version": 3.11}, {"index": "pypi.org/simple"},
        {"index": "https://user:word@pypi.example.com/simple"}, {"limit": "0s"}, {"groups": ["--all"]}, {"more": 1},
    ],
    ids=str,
)  # fmt: skip
def test_invalid_environment_is_refused(own):
    with pytest.raises(ValueError, match=next(iter(own))):
        PythonEnvironment.model_validate({"lock": "a", "into": "/opt/a/venv", **own})
