"""`make recordings`: runs the sessions that the README shows in a lab, and writes docs/images/*.{cast,svg}.

Nothing is edited but this checkout's own path. The picture cuts lines of progress, wraps others and shortens pauses;
the .cast has all of it.
"""

import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from benchmarks.cast import Event, write
from lab import rehearse, up, workspace
from lab.say import LabError
from lab.settings import ROOT, Lab, default_lab, move_lab

IMAGES = ROOT / "docs" / "images"
CATALOGUE = ROOT / "files" / "systems" / "watchme.yaml"
MEMORY = ("limit: 2g, observed: 2g", "limit: 2100m, observed: 2g")
HEALTH = ("    container: ast-api\n", "    container: ast-api\n    health: /nowhere\n")
UP = ("pulumi", "up", "--yes", "--skip-preview", "--suppress-outputs", "--stack", "lab")
LIMIT = 1800  # seconds of a command


class Session:
    """A terminal without colours; `events` are the lines, with the time at which each came."""

    def __init__(self, env: Mapping[str, str]) -> None:
        self.env = {**env, "NO_COLOR": "1", "COLUMNS": "118"}
        self.began = time.monotonic()
        self.events: list[Event] = []

    def _note(self, line: str) -> None:
        text = line.replace(f"{ROOT}/", "")
        self.events.append(Event(time.monotonic() - self.began, text))
        print(text, flush=True)

    def run(self, *argv: str, comment: str = "") -> int:
        self._note(f"$ {' '.join(argv)}{comment}")
        with subprocess.Popen(
            argv, cwd=ROOT, env=self.env, text=True, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
        ) as process:  # fmt: skip
            assert process.stdout
            for line in process.stdout:
                # Pulumi's dots while nothing happens
                text = line.rstrip().removeprefix("@ updating").lstrip(".") if line.startswith("@ ") else line.rstrip()
                if text:
                    self._note(text)
            code = process.wait(LIMIT)
        self._note("")
        return code


@contextmanager
def change_temporarily(path: Path, *changes: tuple[str, str]) -> Iterator[None]:
    """A file with other texts, and as it was afterwards. Raises ValueError for a text that is not there."""
    before = text = path.read_text()
    for earlier, later in changes:
        if earlier not in text:
            raise ValueError(f"{path.name} has no {earlier!r}")
        text = text.replace(earlier, later, 1)
    path.write_text(text)
    try:
        yield
    finally:
        path.write_text(before)


def roll_back(lab: Lab) -> list[Event]:
    """A change that is previewed and released, then one that never gets healthy."""
    if not up.is_running(lab):
        raise LabError("no lab is running; start it with make lab")
    env = workspace.full_environment(lab)
    session = Session(env)
    try:
        with change_temporarily(CATALOGUE, MEMORY):
            session.run("infra", "preview", "--stack", "lab")
            session.run(*UP)
        with change_temporarily(CATALOGUE, MEMORY, HEALTH):
            session.run(*UP, comment="   # its health path is wrong now")
    finally:
        subprocess.run(UP, cwd=ROOT, env=env, check=True, capture_output=True, timeout=LIMIT)
    return session.events


def move(lab: Lab) -> list[Event]:
    """A whole region move."""
    up.clear(lab)
    try:
        rehearse.away(lab)
        up.pulumi_up(lab)
        session = Session(workspace.full_environment(lab))
        session.run("infra", "move", rehearse.HOME, "--check", "--stack", "lab")
        session.run("infra", "move", rehearse.HOME, "--keep", "--yes", "--stack", "lab")
        return session.events
    finally:
        up.clear(lab)


SCENES: dict[str, tuple[str, Callable[[], list[Event]]]] = {
    "release": ("A release, and one that fails and is rolled back", lambda: roll_back(default_lab())),
    "move": ("A region move, checked and made", lambda: move(move_lab())),
}


def main(names: list[str]) -> int:
    for name in names or list(SCENES):
        title, record = SCENES[name]
        for path in write(record(), title, IMAGES, name):
            print(f"wrote {path.relative_to(ROOT)}")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
