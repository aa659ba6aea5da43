"""What the hosts of a lab say when a test fails there: with it a failure can be understood from the output alone."""

import contextlib
import subprocess
from collections.abc import Iterator
from pathlib import Path

from lab.settings import HOST_LABEL, LABEL

LIMIT = 12_000  # characters of one host
LOG = 3_000  # of one of the lab's own logs
COMMANDS = {
    "the agent": "journalctl --no-pager --output short-precise -n 60 -t infra",
    "warnings": "journalctl --no-pager --output short-precise -n 40 -p warning",
    "failed units": "systemctl list-units --no-pager --no-legend --state failed",
    "containers": "docker ps --all --format '{{.Names}} {{.Status}}'",
}


def of_hosts(lab: str = "") -> list[tuple[str, str]]:
    """Title and text of each running host: of the lab of that name, or of all. A host that does not answer says so."""
    filters = [f"label={HOST_LABEL}", f"label={LABEL}={lab}" if lab else f"label={LABEL}"]
    names = _output(
        "docker", "ps", *(word for each in filters for word in ("--filter", each)), "--format", "{{.Names}}"
    )
    return [(f"host {name}", _words(name)) for name in names.split()]


@contextlib.contextmanager
def said_on_failure(lab: str, logs: Path) -> Iterator[None]:
    """Prints the same where the body fails, for a set-up whose end removes the hosts; and the ends of the lab's own logs.
    pytest shows what a failed set-up printed."""
    try:
        yield
    except BaseException:
        for title, text in of_hosts(lab):
            print(f"== {title}\n{text}")
        for log in sorted(logs.glob("*.log")):
            print(f"== {log.name}\n{log.read_text(errors='replace')[-LOG:]}")
        raise


def _words(name: str) -> str:
    parts = [
        f"-- {title}\n{_output('docker', 'exec', name, 'sh', '-c', command)}" for title, command in COMMANDS.items()
    ]
    return "\n".join(part[-LIMIT // len(COMMANDS) :] for part in parts)


def _output(*argv: str) -> str:
    try:
        done = subprocess.run(argv, capture_output=True, text=True, errors="replace", timeout=20, check=False)
    except (OSError, subprocess.TimeoutExpired) as error:
        return f"({argv[0]}: {error})"
    return done.stdout.rstrip() or done.stderr.strip()
