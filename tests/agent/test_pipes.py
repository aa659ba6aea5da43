"""One command's output into another one: the second gets the end of its input only from a first that ended well."""

import os
import sys

import pytest

from agent.processes import TIMED_OUT, pipe

ENVIRONMENT = {"PATH": os.environ["PATH"]}


def sh(text):
    return ["/bin/sh", "-c", text]


def into(path, source, timeout=20):
    """What a command that keeps all that it got, once it got its end, has kept."""
    keeping = f"cat > {path}.part && mv {path}.part {path} && echo kept"
    return pipe(source, sh(keeping), timeout, ENVIRONMENT)


def test_whole_output_arrives(tmp_path):
    made, kept, size = into(tmp_path / "x", sh("seq 1 300000; echo said >&2"))
    assert (made.code, kept.code, size) == (0, 0, 1988895)
    assert made.output == "said\n" and kept.output == "kept\n"
    assert (tmp_path / "x").stat().st_size == size


@pytest.mark.parametrize("text", ["echo half; echo why >&2; exit 3", "echo half; kill -9 $$", "exit 1"])
def test_output_of_a_failed_source_is_discarded(tmp_path, text):
    made, kept, _ = into(tmp_path / "x", sh(text))
    assert made.code not in (0, TIMED_OUT) and kept.code == TIMED_OUT
    assert not (tmp_path / "x").exists()


def test_empty_output_is_discarded(tmp_path):
    made, kept, size = into(tmp_path / "x", sh("true"))
    assert (made.code, kept.code, size) == (0, TIMED_OUT, 0) and not (tmp_path / "x").exists()


def test_hanging_source_is_killed_and_its_output_discarded(tmp_path):
    made, kept, _ = into(tmp_path / "x", sh("echo half; exec sleep 60"), 0.5)
    assert (made.code, kept.code) == (TIMED_OUT, TIMED_OUT) and not (tmp_path / "x").exists()


def test_hanging_reader_is_killed_with_its_source():
    made, kept, _ = pipe(sh("exec yes"), sh("exec sleep 60"), 0.5, ENVIRONMENT)
    assert (made.code, kept.code) == (TIMED_OUT, TIMED_OUT)


def test_failed_reader_gives_its_reason_and_ends_its_source():
    made, kept, _ = pipe(sh("exec yes"), sh("head -c 100 >/dev/null; echo no space >&2; exit 4"), 20, ENVIRONMENT)
    assert (made.code, kept.code, kept.output) == (TIMED_OUT, 4, "no space\n")


def test_standard_error_is_bounded_and_does_not_block():
    noise = "import sys\nfor _ in range(20000): sys.stderr.write('x' * 99 + chr(10))\nprint('data')"
    made, kept, size = pipe([sys.executable, "-c", noise], sh("cat"), 60, ENVIRONMENT)
    assert (made.code, kept.output, size) == (0, "data\n", 5) and len(made.output) <= 64 << 10


@pytest.mark.parametrize("place", [0, 1])
def test_a_program_that_is_not_there_is_an_error_and_leaves_none_running(place):
    commands = [sh("exec yes"), sh("exec cat")]
    commands[place] = ["/no/such/program"]
    with pytest.raises(FileNotFoundError):
        pipe(*commands, 20, ENVIRONMENT)
