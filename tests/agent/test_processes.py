"""Which processes are root's own programs: any account can start one under any name, with any arguments."""

import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from agent.world import World

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="needs accounts")
DAEMON, PROXY, NAMED = "its-dockerd", "its-proxy", ["-host-port", "8014"]
WAITS = "print('up', flush=True); input()"
STARTS = f"import subprocess, sys; subprocess.run([sys.argv[1], '-c', \"{WAITS}\", *sys.argv[2:]])"
HOME = {"PYTHONHOME": sys.base_prefix, "LD_LIBRARY_PATH": f"{sys.base_prefix}/lib"}


@pytest.fixture
def place(tmp_path: Path) -> Path:
    """Two programs of their own files, which run what they are given."""
    for name in (DAEMON, PROXY):
        shutil.copy(os.path.realpath(sys.executable), tmp_path / name)
    (tmp_path / "link").mkdir()
    (tmp_path / "link" / PROXY).symlink_to(os.path.realpath(sys.executable))
    return tmp_path


@contextmanager
def running(argv: list[str], program: object = None, demote: Callable[[], None] | None = None) -> Iterator[None]:
    with subprocess.Popen(
        argv, executable=str(program or argv[0]), stdin=subprocess.PIPE, stdout=subprocess.PIPE,
        env={**os.environ, **HOME}, preexec_fn=demote,
    ) as child:  # fmt: skip
        assert child.stdout and child.stdout.readline() == b"up\n"
        # At the end of its input each of them ends
        yield


def half() -> None:
    """As a set-user-ID program runs: for root, started by another account."""
    os.setresuid(65534, 0, 0)


def found(name: str, parent: str = "") -> list[list[str]]:
    return [words[-2:] for words in ([w for w in entry if w] for entry in World().arguments_of(name, parent))]


def test_root_programs_and_their_children_are_found(place):
    with running([str(place / DAEMON), "-c", STARTS, str(place / PROXY), *NAMED]):
        assert found(DAEMON) == [NAMED] and found(PROXY, DAEMON) == found(PROXY) == [NAMED]
        # After an upgrade of the program
        (place / PROXY).unlink()
        assert found(PROXY, DAEMON) == [NAMED]


def test_process_of_another_parent_is_not_the_daemons(place):
    with running([str(place / PROXY), "-c", WAITS, *NAMED]):
        assert found(PROXY) == [NAMED] and found(PROXY, DAEMON) == []


FALSE = {
    "its own word for its name, by a link": (["link", PROXY], None),
    "a set-user-ID program": ([PROXY], half),
}


@pytest.mark.parametrize(("program", "demote"), FALSE.values(), ids=FALSE)
def test_process_with_a_borrowed_name_is_not_found(place, program, demote):
    with running([PROXY, "-c", WAITS, *NAMED], place.joinpath(*program), demote):
        assert found(PROXY) == []


def test_a_process_of_a_container_is_not_found(place):
    alone = ["unshare", "--pid", "--fork", "--kill-child"]
    if not shutil.which("unshare") or subprocess.run([*alone, "true"], capture_output=True, timeout=20).returncode:
        pytest.skip("this machine gives no namespace of processes")
    with running([*alone, str(place / DAEMON), "-c", WAITS, *NAMED], shutil.which("unshare")):
        assert found(DAEMON) == []
