"""Every command works in every locale of a terminal: files, hosts and Pulumi speak UTF-8."""

import os
import subprocess

import pytest

from tests.rows import rows
from tests.support import ROOT

INFRA = str(ROOT / ".venv/bin/infra")
# A minimal container, a login without any locale, and one of a text that is not UTF-8 (Python's own help against it off)
LOCALES = {
    "POSIX": {"LC_ALL": "POSIX"},
    "none": {"LC_ALL": "", "LANG": ""},
    "one that this machine does not have": {"LC_ALL": "ja_JP.eucJP"},
    "not UTF-8": {"LC_ALL": "POSIX", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"},
}
COMMANDS = {
    "check": ["check", "--stack", "prod"],
    "explain": ["explain", "routes"],
    "render": ["render", "--stack", "prod", "--out", "OUT"],
    "help": ["deploy", "--help"],
    "releases of no host": ["releases", "--stack", "nowhere"],
}


def ran(argv: list[str], locale: dict[str, str]) -> tuple[int, bytes, bytes]:
    env = {name: value for name, value in os.environ.items() if not name.startswith(("LC_", "PYTHONUTF8"))}
    done = subprocess.run([INFRA, *argv], cwd=ROOT, env={**env, **locale}, capture_output=True, timeout=60)
    return done.returncode, done.stdout, done.stderr


@pytest.mark.parametrize("name", rows(COMMANDS, always=["check"]))
def test_output_does_not_depend_on_the_locale(name, tmp_path):
    argv = [word.replace("OUT", str(tmp_path / "out")) for word in COMMANDS[name]]
    expected = ran(argv, {"LC_ALL": "C.UTF-8"})
    assert b"Traceback" not in expected[2] and b"internal error" not in expected[2], expected[2].decode()
    for locale in LOCALES.values():
        assert ran(argv, locale) == expected, locale
