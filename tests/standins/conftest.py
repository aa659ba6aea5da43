"""Which `command` plugins the table of behaviours is held to: the stand-in, and the real one where there is one."""

import os
from pathlib import Path

from lab import plugins
from lab.say import LabError
from tests.support import ROOT


def real_plugins() -> Path | None:
    """The real `command` plugin: in LAB_PLUGINS, or in `shared/plugins` beside this checkout."""
    named = os.environ.get(plugins.FOLDER)
    for folder in [Path(named)] if named else [ROOT.parent / "shared" / "plugins"]:
        try:
            return plugins.from_folder(folder, plugins.this_machine()).get("command")
        except LabError:
            continue
    return None


def pytest_report_header():
    found = real_plugins()
    return f"command plugin: the stand-in, and {found or 'no real one (LAB_PLUGINS names its folder)'}"


def pytest_terminal_summary(terminalreporter):
    if real_plugins() is None:
        terminalreporter.write_line(
            "tests/standins: no real command plugin here, so the stand-in alone was held to the table of behaviours "
            "(LAB_PLUGINS=DIR names the real one's folder)"
        )
