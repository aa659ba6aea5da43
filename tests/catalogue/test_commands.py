"""What a unit starts: the program of each command, and the script that an interpreter is given."""

import pytest

from catalogue.artefacts import names_path, started_files
from catalogue.systemd.commands import commands
from tests.support import changed, service, whole

INTO = "/srv/recall/venv"

STARTED = {
    "a program": (f"{INTO}/bin/x --port 1", [f"{INTO}/bin/x"], []),
    "one in quotes": (f'"{INTO}/bin/x" a', [f"{INTO}/bin/x"], []),
    "one with systemd's marks": (f"@+{INTO}/bin/x x", [f"{INTO}/bin/x"], []),
    "one that may fail": (f"-{INTO}/bin/x", [], []),
    "one of the host": ("/usr/bin/true", [], []),
    "one whose name has a specifier": (f"{INTO}/bin/%N", [], []),
    "one whose name has a variable": (f"{INTO}/bin/${{NAME}}", [], []),
    "a script of the host's interpreter": (f"/usr/bin/python3.11 {INTO}/main.py", [], [f"{INTO}/main.py"]),
    "a script of its own interpreter": (f"{INTO}/bin/python {INTO}/main.py", [f"{INTO}/bin/python"], [f"{INTO}/main.py"]),
    "a script by a variable": (f"/usr/bin/python3 {INTO}/${{APP}}.py", [], []),
    "what an interpreter finds by itself": (f"/usr/bin/node {INTO}/server", [], []),
    "what a program makes": (f"/usr/bin/touch {INTO}/x", [], []),
    "two in a line": (f"{INTO}/bin/a ; {INTO}/bin/b", [f"{INTO}/bin/a", f"{INTO}/bin/b"], []),
    "one that is taken back": (["/usr/bin/old", f"{INTO}/bin/old", "", f"{INTO}/bin/new"], [f"{INTO}/bin/new"], []),
}  # fmt: skip


def recall(**values):
    def change(data):
        service(data, "recall-api").update(artefact={"repository": "recall", "into": INTO}, **values)

    made = changed(whole(), "recall", change)
    return made, next(s for s in made.systems["recall"].native_services if s.name == "recall-api")


@pytest.mark.parametrize(("line", "programs", "scripts"), STARTED.values(), ids=STARTED)
def test_files_required_from_an_artefact_are_found(line, programs, scripts):
    _, own = recall(directives={"Service": {"ExecStart": line}})
    assert started_files(own, own.links) == (programs, scripts)


def test_drop_in_resets_the_commands_of_its_unit():
    service = {"Service": {"ExecStart": f"{INTO}/bin/old", "ExecStopPost": f"{INTO}/bin/after"}}
    _, own = recall(directives=service, drop_ins={"other": {"Service": {"ExecStart": ["", f"{INTO}/bin/new"]}}})
    assert started_files(own, own.links) == ([f"{INTO}/bin/new"], []), "what runs after its end is not needed to start"


def test_an_open_quote_is_no_error():
    assert [one.program for one in commands([{"Service": {"ExecStart": '/usr/bin/x "a'}}])] == ["/usr/bin/x"]


MENTIONS = {
    f"{INTO}": True, f"{INTO}/lib": True, f"a:{INTO}/lib": True, f"file://{INTO}/a.db": True, f"-I{INTO}/include": True,
    f"{INTO}s": False, f"/other{INTO}": False, f"{INTO}.old": False, "": False,
}  # fmt: skip


@pytest.mark.parametrize(("text", "expected"), MENTIONS.items(), ids=[*MENTIONS])
def test_paths_in_values_are_found(text, expected):
    made, own = recall(
        directives={"Service": {"ExecStart": "/usr/bin/x"}}, environment={"PLACE": text}, needs=[], files=[]
    )
    assert names_path(made, own, INTO) is expected
