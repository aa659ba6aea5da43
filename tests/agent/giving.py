"""A host whose data moves away: files in a folder of the test's, and a systemd in memory."""

from __future__ import annotations

import glob
from dataclasses import dataclass, field
from pathlib import Path

from agent import moving

UNITS = ["db.service", "web.service"]


@dataclass
class Systemd:
    """Starts nothing whose drop-in names a file that is there."""

    root: str
    on: set[str]
    stuck: set[str] = field(default_factory=set)
    ran: list[str] = field(default_factory=list)
    refuses: str = ""

    def __call__(self, *argv, timeout=60.0):
        self.ran.append(" ".join(argv))
        if self.refuses and " ".join(argv).startswith(self.refuses):
            return 1, "it cannot be done"
        if argv[:2] == ("systemctl", "is-active"):
            return 0, "active" if argv[2] in self.on else "inactive"
        if argv[:2] == ("systemctl", "stop"):
            self.on -= {*argv[2:]} - self.stuck
        if argv[:2] == ("systemctl", "start"):
            self.on |= {unit for unit in argv[2:] if not self.barred(unit)}
        return 0, ""

    def barred(self, unit: str) -> bool:
        files = glob.glob(f"{self.root}/systemd/system/{unit}.d/{moving.DROP_IN}*.conf")
        text = "\n".join(Path(file).read_text() for file in files)
        paths = [line.partition("=!")[2] for line in text.splitlines() if "=!" in line]
        return any(moving.os.path.exists(path) for path in paths)


def giving_host(root, monkeypatch, on=UNITS) -> Systemd:
    """`agent.moving` works in `root` and with the systemd that is returned until the test ends."""
    for name, place in {"RUN": "run/moving", "HELD": "run/away", "GONE": "etc/away", "SYSTEMD": "systemd"}.items():
        monkeypatch.setattr(moving, name, f"{root}/{place}")
    made = Systemd(str(root), {*on, "other.service"})
    monkeypatch.setattr(moving, "run", made)
    monkeypatch.setattr(moving.shutil, "which", lambda name: None)
    (root / "data").mkdir()
    return made
