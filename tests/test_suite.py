"""The suite itself: which tests run, in which order, how long one may take, and what is shown of one that fails."""

import ast
import functools
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.lines import side_by_side
from tests.support import ROOT, execute, started

SUITE = """
import signal, pytest

@pytest.mark.parametrize("number", range(8))
def test_pure(number, request):
    assert request.node.get_closest_marker("timeout") is None

@pytest.mark.lab
@pytest.mark.parametrize("number", range(8))
def test_lab(number, request):
    assert request.node.get_closest_marker("timeout").args == (1500,)

@pytest.mark.lab
@pytest.mark.timeout(5)
def test_lab_with_its_own(request):
    assert request.node.get_closest_marker("timeout").args == (5,)

@pytest.mark.nightly
def test_nightly():
    pass

def test_programs_can_be_interrupted():
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
"""


@pytest.fixture
def run_suite(tmp_path):
    """Runs a small suite with this project's settings; what it wrote, and the names of its tests in their order."""
    shutil.copy(ROOT / "tests/conftest.py", tmp_path)
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    (tmp_path / "test_small.py").write_text(SUITE)

    def run(*words: str, code: int = 0, **env: str) -> tuple[str, list[str]]:
        # In a background job of a shell SIGINT is ignored
        command = [
            "sh",
            "-c",
            'trap "" INT; exec "$@"',
            "sh",
            sys.executable,
            "-m",
            "pytest",
            "-v",
            "-p",
            "no:cacheprovider",
            *words,
            ".",
        ]
        environment = {"PATH": "/usr/bin:/bin", "HOME": str(tmp_path), **env}
        output = execute(*command, cwd=tmp_path, env=environment, code=code).stdout
        return output, re.findall(r"test_small\.py::(\S+) PASSED", output)

    return run


LAB = [*(f"test_lab[{number}]" for number in range(8)), "test_lab_with_its_own"]


def test_only_the_pure_tests_come_in_any_order(run_suite):
    orders = [run_suite("-p", "randomly", f"--randomly-seed={seed}")[1] for seed in (1, 2)]
    pure = [[name for name in order if name not in LAB] for order in orders]
    assert sorted(pure[0]) == sorted(pure[1]) and pure[0] != pure[1]
    assert [order[len(pure[0]) :] for order in orders] == [LAB, LAB]


def test_nightly_tests_are_deselected_by_default(run_suite):
    output, names = run_suite()
    assert "test_nightly" not in names and "1 deselected" in output and "skipped" not in output
    output, names = run_suite(TESTS_EVERYTHING="1")
    assert "test_nightly" in names and "deselected" not in output


def test_hanging_program_is_killed_with_its_children(capsys):
    script = "import subprocess, time; subprocess.Popen(['sleep', '60'], process_group=0); print('begun', flush=True); time.sleep(60)"
    with pytest.raises(AssertionError, match="not ended after 1 s"):
        execute(sys.executable, "-c", script, timeout=1)
    assert "begun" in capsys.readouterr().out


def test_a_program_that_fails_is_shown(capsys):
    with pytest.raises(AssertionError, match="exit code 3, not 0"):
        execute("sh", "-c", "echo out; echo err >&2; exit 3")
    assert capsys.readouterr().out.endswith("exit code 3\nout\nerr\n")


def test_a_program_that_is_talked_to_ends_in_time():
    with started("sh", "-c", "sleep 60", timeout=0.2, stdout=subprocess.PIPE) as process:
        assert process.stdout and process.stdout.read() == ""
    assert process.returncode == -9


def test_every_target_of_the_makefile_has_one_rule():
    makefile = (ROOT / "Makefile").read_text()
    phony = re.search(r"^\.PHONY: (.+)$", makefile, re.MULTILINE)
    assert phony
    rules = re.findall(r"^([a-z][a-z-]*):(?!=)", makefile, re.MULTILINE)
    assert sorted(rules) == sorted(phony[1].split())


def test_failed_lab_test_shows_the_output_of_its_hosts(run_suite, tmp_path):
    """By a `docker` that plays one host: what is asked of it, and where its answer is shown."""
    (tmp_path / "bin").mkdir()
    docker = tmp_path / "bin/docker"
    docker.write_text('#!/bin/sh\ncase "$1" in ps) echo wml-small-web ;; exec) echo "words: $5" ;; esac\n')
    docker.chmod(0o755)
    (tmp_path / "test_failing.py").write_text(
        "import pytest\n\n@pytest.mark.lab\ndef test_failing():\n    assert False\n"
    )
    path = f"{tmp_path}/bin:{os.environ['PATH']}"
    output, _ = run_suite("-k", "test_failing", code=1, PATH=path, PYTHONPATH=str(ROOT), TESTS_LAB="small:90")
    assert "host wml-small-web" in output and "words: journalctl" in output


def test_failed_lab_set_up_shows_the_output_of_its_hosts(run_suite, tmp_path):
    """Its end removes the hosts before pytest makes its report."""
    (tmp_path / "bin").mkdir()
    docker = tmp_path / "bin/docker"
    docker.write_text(
        '#!/bin/sh\n[ ! -e gone ] || exit 1\ncase "$1" in ps) echo wml-small-web ;; exec) echo "words: $5" ;; esac\n'
    )
    docker.chmod(0o755)
    (tmp_path / "run").mkdir()
    (tmp_path / "run/cloud.log").write_text("moto: words\n")
    (tmp_path / "test_failing.py").write_text(
        "import pathlib, pytest\nfrom tests import journals\n\n"
        "@pytest.fixture\ndef made():\n    try:\n        with journals.said_on_failure('small', pathlib.Path('run')):\n"
        "            raise ValueError\n        yield\n    finally:\n        pathlib.Path('gone').touch()\n\n"
        "@pytest.mark.lab\ndef test_failing(made):\n    pass\n"
    )
    path = f"{tmp_path}/bin:{os.environ['PATH']}"
    output, _ = run_suite("-k", "test_failing", code=1, PATH=path, PYTHONPATH=str(ROOT), TESTS_LAB="small:90")
    assert "host wml-small-web" in output and "words: journalctl" in output and "moto: words" in output


# For as long as what a person asked for takes
UNLIMITED = {"lab/root.py": 1}


def calls_without_limit(path: Path) -> list[int]:
    """Lines that run a program to its end and name no limit of time."""
    found = []
    for node in ast.walk(ast.parse(path.read_text())):
        if not isinstance(node, ast.Call) or not isinstance(node.func, ast.Attribute):
            continue
        owner = node.func.value.id if isinstance(node.func.value, ast.Name) else ""
        runs = owner == "subprocess" and node.func.attr in ("run", "check_output", "check_call", "call")
        named = {keyword.arg for keyword in node.keywords}
        if runs and not {"timeout", None} & named:
            found.append(node.lineno)
    return found


@pytest.mark.parametrize("folder", ["lab", "tests", "benchmarks"])
def test_every_subprocess_has_a_timeout(folder):
    found = {
        str(path.relative_to(ROOT)): lines
        for path in sorted((ROOT / folder).rglob("*.py"))
        if (lines := calls_without_limit(path))
    }
    assert {name: lines for name, lines in found.items() if len(lines) > UNLIMITED.get(name, 0)} == {}


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
@pytest.mark.parametrize(
    ("codes", "whole"),
    [((0, 0), 0), ((0, 5), 0), ((5, 5), 5), ((0, -9), -9), ((2, 0, 5), 2), ((0, None), 1)],
    ids=["all pass", "one has no test", "none has", "one was killed", "one failed", "one raised"],
)
def test_parallel_parts_fail_when_one_does(codes, whole):
    def part(code):
        assert code is not None
        return code

    assert side_by_side(*(functools.partial(part, code) for code in codes)) == whole
