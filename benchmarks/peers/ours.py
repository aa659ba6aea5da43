"""This program on the same host: `infra.deliver` as Pulumi runs it, `pulumi up` whole, and the edits of the jobs."""

import json
import re
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from benchmarks.peers.work import HOST, Rendered, render
from lab.run import run
from lab.say import LabError
from lab.settings import ROOT

TEMPLATE = Path("files/templates/site.conf.j2")
CATALOGUE = Path("files/systems/watchme.yaml")
BANNER = Path("rendering/templates.py")
UP = ["pulumi", "up", "--yes", "--skip-preview", "--non-interactive", "--stack", "lab"]
# Everything that a release brought, so that the next one is the first: what certificates and images are there stays
WIPE = """
systemctl list-units --plain --no-legend --all 'infra-*' | awk '{print $1}' | xargs -r systemctl stop
xargs -r systemctl disable -q --now < /tmp/peers-units 2>/dev/null
docker ps -aq | xargs -r docker rm -f >/dev/null
xargs -r rm -f < /tmp/peers-files
rm -rf /var/lib/infra /etc/nginx/conf.d/service-*.conf /etc/nginx/sites-enabled/*
systemctl daemon-reload
nginx -t -q && systemctl reload nginx
"""


@dataclass
class Project:
    """A copy of this checkout, which the jobs edit. `previous` is what Pulumi would hand to infra.deliver as the output
    of the last delivery."""

    folder: Path
    env: dict[str, str]
    previous: dict[str, object] = field(default_factory=dict)

    def copy(self) -> None:
        """What git tracks or would track, with the environment of this checkout."""
        shutil.rmtree(self.folder, ignore_errors=True)
        for name in run("git", "ls-files", "-co", "--exclude-standard", cwd=ROOT).splitlines():
            if (ROOT / name).exists():
                (self.folder / name).parent.mkdir(parents=True, exist_ok=True)
                shutil.copy2(ROOT / name, self.folder / name)
        (self.folder / ".venv").symlink_to(ROOT / ".venv")

    def render(self) -> Rendered:
        return render(self.folder, self.env)

    def edit(self, job: str, number: int) -> None:
        """The change of a job; `number` makes it another one than the last."""
        if job == "line":
            self._replace(TEMPLATE, r"proxy_connect_timeout \w+;", f"proxy_connect_timeout {5000 + number}ms;")
        elif job == "unit":
            self._replace(CATALOGUE, r"(?s)(name: admin\n.*?limit: )\d+m", rf"\g<1>{200 + number % 50}m", 1)
        elif job == "all":
            self._replace(BANNER, r"the next release[^\"]*", f"the next release ({number}).")

    @contextmanager
    def refused_line(self) -> Iterator[None]:
        """The site with a line that Nginx does not know."""
        path = self.folder / TEMPLATE
        text = path.read_text()
        try:
            self._replace(TEMPLATE, r"server_tokens off;", "server_tokens off;\n    no_such_directive on;")
            yield
        finally:
            path.write_text(text)

    def _replace(self, path: Path, pattern: str, replacement: str, count: int = 0) -> None:
        file = self.folder / path
        text, number = re.subn(pattern, replacement, file.read_text(), count=count)
        if not number:
            raise LabError(f"{path} has nothing like {pattern}")
        file.write_text(text)

    def delivery(self, serving: str) -> dict[str, str]:
        """The environment of infra.deliver: ours, and the last one's output with the release that serves now."""
        return {**self.env, "PULUMI_COMMAND_STDOUT": json.dumps({**self.previous, "release": serving or None})}

    @property
    def deliver(self) -> list[str]:
        return [str(ROOT / ".venv/bin/python"), "-m", "infra.deliver"]

    def bring(self, rendered: Rendered, serving: str) -> None:
        """A delivery that is not measured. Raises LabError."""
        ran = subprocess.run(
            self.deliver, cwd=self.folder, env=self.delivery(serving), input=rendered.request, text=True,
            capture_output=True, check=False, timeout=900,
        )  # fmt: skip
        if ran.returncode:
            raise LabError(f"infra.deliver: {ran.stderr.strip()[-300:]}")
        self.previous = json.loads(ran.stdout.splitlines()[-1])


def on_host(container: str, script: str, stdin: str = "") -> subprocess.CompletedProcess[str]:
    """A shell on the lab's host, beside any connection that is measured."""
    return subprocess.run(
        ["docker", "exec", "-i", container, "sh", "-c", script], input=stdin, text=True, capture_output=True,
        check=False, timeout=300,
    )  # fmt: skip


def serving_release(container: str) -> str:
    return on_host(container, "readlink /var/lib/infra/current || true").stdout.strip().rsplit("/", 1)[-1]


def wipe(container: str, rendered: Rendered) -> None:
    """The host as it is before a first release, with packages, images and certificates."""
    on_host(container, "cat > /tmp/peers-units", "\n".join(rendered.units) + "\n")
    on_host(container, "cat > /tmp/peers-files", "\n".join(rendered.files) + "\n")
    ran = on_host(container, WIPE)
    if serving_release(container):
        raise LabError(f"host {HOST} could not be emptied: {ran.stderr.strip()[-300:]}")
