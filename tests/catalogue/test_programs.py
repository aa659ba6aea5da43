"""Programs that a release brings, and values that an environment file holds."""

import pytest

from catalogue.checks import check
from catalogue.rules.contents import environment
from catalogue.rules.programs import elf_architecture, programs
from tests.catalogue.changes import configured, setting
from tests.catalogue.programs import AMD64, ARM64, started_by
from tests.support import catalogue

BROKEN = {
    "Windows line endings": (started_by(b"#!/bin/sh\r\nexec x\r\n"), "has Windows line endings (CRLF) after its #!: no such interpreter; convert the line endings:"),
    "only its first line": (started_by(b"#!/usr/bin/env python3\r"), "has Windows line endings (CRLF) after its #!"),
    "a mode without execution": (started_by(b"#!/bin/sh\n", "0644"), 'its mode 0644 forbids it; must be mode: "0755" for the file /srv/recall/serve'),
    "a byte order mark": (started_by(b"\xef\xbb\xbf#!/bin/sh\n"), "has a byte order mark before its #!: the kernel does not run it as a script; must be UTF-8 without one: sed"),
    "text": (started_by(b"exec x\n"), "files/static/recall/gunicorn.conf.py is executed, but it is not a program"),
    "nothing": (started_by(b""), "files/static/recall/gunicorn.conf.py is executed, but it is empty; must be a script that begins with #!"),
    "a space before it": (started_by(b" #!/bin/sh\n"), "files/static/recall/gunicorn.conf.py is executed, but it is not a program"),
    "another architecture": (started_by(AMD64), "is built for amd64, but services (t4g.medium) is arm64; must be a program built for arm64"),
    "an unknown architecture": (started_by(ARM64.replace(b"\xb7", b"\xf3")), "is built for ELF machine 243"),
    "before the start": (
        started_by(b"exec x\n", ExecStart="/usr/bin/true", ExecStartPre=["/usr/bin/true", "+@/srv/recall/serve x"]),
        "is executed, but it is not a program",
    ),
    "in quotes": (started_by(b"exec x\n", ExecStart='"/srv/recall/serve" x'), "is executed, but it is not a program"),
}  # fmt: skip


@pytest.mark.parametrize(("made", "said"), BROKEN.values(), ids=BROKEN)
def test_program_of_an_unknown_format_is_refused(made, said):
    (problem,) = programs(made)
    assert str(problem).startswith("error: files/systems/recall.yaml: service recall-api: ") and said in str(problem)


WHOLE = {
    "a script": started_by(b"#!/bin/sh\nprintf 'a\\r\\n'\n"),
    "carriage returns further down": started_by(b"#!/bin/sh\nx\r\n"),
    "a program for the machine": started_by(ARM64),
    "a configuration file": started_by(b"bind = 'x'\r\n", "0644", ExecStart="/usr/bin/gunicorn -c /srv/recall/serve"),
}


@pytest.mark.parametrize("made", WHOLE.values(), ids=WHOLE)
def test_startable_programs_are_accepted(made):
    assert list(programs(made)) == []


def test_the_architecture_of_a_program():
    assert (elf_architecture(AMD64), elf_architecture(ARM64), elf_architecture(b"\x7fELF")) == ("amd64", "arm64", "")
    big_endian = b"\x7fELF\x02\x02" + b"\0" * 12 + b"\x00\xb7"
    assert elf_architecture(big_endian) == "arm64"


VALUES = {
    "a line of Windows": ("hunter2\r", "a carriage return (a Windows line ending) at its end"),
    "a carriage return inside": ("hunter\r2", "a carriage return (a Windows line ending)"),
    "a line break": ("hunter\n2", "a line break"),
    "its last line break": ("hunter2\n", "a line break at its end"),
    "a NUL": ("hunter\0002", "a NUL"),
    "a line separator": ("hunter\u20282", "a line separator (U+2028)"),
    "an escape": ("hunter\x1b2", "a control character (U+001B)"),
    "a control character of Latin-1": ("hunter\x852", "a control character (U+0085)"),
    "half a character": ("hunter\udc802", "a control character (U+DC80)"),
    "a variable": ("hunter${2}", "a ${"),
}


@pytest.mark.parametrize(("value", "named"), VALUES.values(), ids=VALUES)
def test_a_value_that_no_environment_file_holds_is_named_and_not_shown(value, named):
    plain = [str(problem) for problem in environment(catalogue(setting("web", environment={"A_VALUE": value})))]
    said = [
        f"service web: the value of A_VALUE cannot be written: it has {named}; an environment" in line for line in plain
    ]
    # Of a container it stands in the compose file, which can hold that
    assert any(said) is (named != "a ${")
    made = catalogue(setting("web", secrets=["TOKEN"]), configured(secrets={"web": {"TOKEN": value}}))
    secret = [str(problem) for problem in environment(made)]
    assert any(
        f"Pulumi.prod.yaml: infra:secrets.web.TOKEN: its value cannot be written: it has {named};" in line
        for line in secret
    )
    assert "hunter" not in "".join([*plain, *secret])


def test_a_tab_and_other_scripts_are_text():
    assert not [problem for problem in check(catalogue(setting("web", environment={"A": "a\tb 日本語 \"x\" $y"}))) if "cannot" in str(problem)]  # fmt: skip
