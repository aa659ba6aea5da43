"""For all tests: how long one may take, in which order they run, and which ones run only when everything does."""

import functools
import gc
import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from botocore.loaders import JSONFileLoader
from hypothesis import settings

from tests.rows import EVERYTHING

# A test asserts what is true, and not how long it took on a loaded machine
settings.register_profile("day", deadline=None, max_examples=25)
settings.register_profile("night", deadline=None, max_examples=100)
settings.load_profile("night" if EVERYTHING else "day")
# One machine image instead of the thousand that each emulated EC2 would begin with, which takes it a second
os.environ["MOTO_AMIS_PATH"] = str(Path(__file__).parent / "fakes/machine_images.json")

# Times are shown in the machine's zone, also by programs that a test starts
os.environ["TZ"] = "UTC"
time.tzset()

# Seconds, with its fixtures: a lab's first test waits for the lab. Others have `timeout` of pyproject.toml
LAB_TIMEOUT = 1500
LAB_MARK = "pytest.mark.lab"  # by this text tests/labs.py knows the modules with tests in a lab
COLLECTED = pytest.StashKey[int]()
FREED_AFTER = 256 * 2**20  # bytes that a test's process may grow by before what no one uses any more is freed
PAGE = os.sysconf("SC_PAGE_SIZE")
size_when_freed = 0


@pytest.fixture(scope="session", autouse=True)
def descriptions_of_services_are_read_once() -> Iterator[None]:
    """A new client reads what its service can do, which are megabytes of JSON for EC2, and tests make hundreds."""
    load: Any = JSONFileLoader.load_file
    remembered = functools.cache(lambda path: load(JSONFileLoader(), path))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(JSONFileLoader, "load_file", lambda _, path: remembered(path))
        yield


@pytest.fixture(autouse=True)
def no_docker_of_this_machine(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """A test without a lab gives one result whether or not this machine runs Docker."""
    if not request.node.get_closest_marker("lab"):
        monkeypatch.setenv("DOCKER_HOST", "unix:///nowhere/docker.sock")


def pytest_configure(config: pytest.Config) -> None:
    # Under nohup and in a background job SIGINT is ignored, and so it would be in every program that a test starts
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    config.stash[COLLECTED] = 0


def pytest_itemcollected(item: pytest.Item) -> None:
    item.stash[COLLECTED] = item.config.stash[COLLECTED] = item.config.stash[COLLECTED] + 1


# After pytest-randomly, which is a wrapper, and before pytest brings together what shares a fixture
@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Tests in a lab keep the order in which they are written, after all others: they change the lab for each other."""
    if not EVERYTHING:
        nightly = [item for item in items if item.get_closest_marker("nightly")]
        items[:] = [item for item in items if item not in nightly]
        config.hook.pytest_deselected(items=nightly)
    lab = [item for item in items if item.get_closest_marker("lab")]
    if unmarked := [str(path) for path in {item.path for item in lab} if LAB_MARK not in path.read_text()]:
        raise pytest.UsageError(f"tests/labs.py runs what names {LAB_MARK}, and not {', '.join(unmarked)}")
    lab.sort(key=lambda item: item.stash[COLLECTED])
    for item in lab:
        if not item.get_closest_marker("timeout"):
            item.add_marker(pytest.mark.timeout(LAB_TIMEOUT))
    items[:] = [item for item in items if not item.get_closest_marker("lab")] + lab


def pytest_runtest_logfinish() -> None:
    """Parts of the program put off Python's collection of garbage, since they live for seconds; a test's process lives for
    minutes, and a run of the whole program leaves 30 MB."""
    global size_when_freed
    with open("/proc/self/statm") as file:
        size = int(file.read().split()[1]) * PAGE
    if size > size_when_freed + FREED_AFTER:
        gc.collect()
        size_when_freed = size


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item):
    """Of a failure in a lab the hosts' own words are part."""
    report = yield
    if report.failed and item.get_closest_marker("lab"):
        from tests import journals

        report.sections += journals.of_hosts(os.environ.get("TESTS_LAB", "").partition(":")[0])
    return report
