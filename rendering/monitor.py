"""The monitor of a host between releases: its timer, and the command that a person runs by hand."""

from agent.documents.manifest import Directory
from catalogue.loading import Catalogue
from catalogue.stack import MONITOR
from rendering.compose import UNITS
from rendering.environment import Secrets, secret_file
from rendering.files import File, HostFiles, Unit
from rendering.templates import BANNER, fill

COMMAND = "/usr/local/bin/infra-monitor"
UNIT = "infra-monitor.timer"
PAGE = "/var/www/infra-status"
NOTIFY = "/etc/infra/notify.env"
EVERY = 5  # minutes


def monitor_files(catalogue: Catalogue, host: str, secrets: Secrets | None = None) -> HostFiles:
    """The monitor of a host: every EVERY minutes, by its name, and by the names that a system had for it before."""
    stack = catalogue.stack
    source = f"Pulumi.{stack.name}.yaml"
    flags = " --fix" if stack.repairs else ""
    files = [
        File(f"{UNITS}/infra-monitor.{kind}", fill(f"infra-monitor.{kind}.j2", source, flags=flags, every=EVERY))
        for kind in ("service", "timer")
    ]
    # Of two instances one is enough
    paths = {path: system for system in reversed(catalogue.systems_on(host)) for path in system.monitor_names}
    names = [
        File(path, _for_interpreter(path, catalogue.file_of(system)), mode=0o755) for path, system in paths.items()
    ]
    # Where the proxy serves the host's own page from; the monitor writes it
    has_sites = any(system.sites for system in catalogue.systems_on(host))
    page: list[Directory] = [{"path": PAGE, "mode": 0o755, "owner": "root", "group": "root"}] if has_sites else []
    command = File(COMMAND, fill("infra-monitor.j2", source), mode=0o755)
    notify_secrets = (stack.secrets if secrets is None else secrets).get(MONITOR, {})
    return HostFiles(
        "",
        files=[*files, command, *names],
        units=[Unit(UNIT, [file.path for file in files])],
        directories=page,
        environment_files=[secret_file(NOTIFY, MONITOR, sorted(notify_secrets), {MONITOR: notify_secrets}, stack)]
        if notify_secrets
        else [],
    )


def _for_interpreter(path: str, source: str) -> bytes:
    """A small script that works with both `python3 PATH` and `bash PATH`."""
    banner = BANNER.format(source=source)
    if path.endswith(".py"):
        lines = ["#!/usr/bin/python3", banner, "import os", "import sys", "",
                 f'os.execv("{COMMAND}", ["{COMMAND}", *sys.argv[1:]])']  # fmt: skip
    else:
        lines = ["#!/bin/sh", banner, f'exec {COMMAND} "$@"']
    return "\n".join([*lines, ""]).encode()
