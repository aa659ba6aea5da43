"""The crontabs of a host, without those that packages bring. Runs on the host beside on_host.py: standard library
only."""

from __future__ import annotations

import glob
import os
from collections.abc import Callable

FILES = ("/etc/crontab", "/etc/cron.d/*", "/var/spool/cron/crontabs/*", "/var/spool/cron/*", "/var/spool/cron/tabs/*")
SCRIPTS = "/etc/cron.[hdwm]*/*"  # hourly, daily, weekly, monthly
PACKAGES = "/var/lib/dpkg/info/*.conffiles"
DIRECTORY = "/etc/cron."  # what the paths of packages' own begin with
MOST = 200


def read_all(read_text: Callable[[str], str | None], mask: Callable[[str, str], str]) -> dict[str, str]:
    """Path → text, masked; of scripts that cron runs by their directory too."""
    of_packages = {
        line.strip()
        for path in glob.glob(PACKAGES)
        for line in (read_text(path) or "").splitlines()
        if line.startswith(DIRECTORY)
    }
    paths = [path for pattern in (*FILES, SCRIPTS) for path in sorted(glob.glob(pattern))]
    texts: dict[str, str] = {}
    for path in [path for path in dict.fromkeys(paths) if path not in of_packages and os.path.isfile(path)][:MOST]:
        name = os.path.basename(path)
        if (
            not name.startswith(".")
            and not name.endswith(("~", ".dpkg-old", ".dpkg-dist"))
            and (text := read_text(path))
        ):
            texts[path] = mask(path, text)
    return texts
