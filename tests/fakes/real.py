"""Where the real `command` plugin is, if it is anywhere."""

import os
from pathlib import Path

from lab import plugins
from lab.say import LabError
from tests.support import ROOT


def real_folder() -> Path | None:
    """A folder with the real plugins: LAB_PLUGINS, or `shared/plugins` beside this checkout."""
    named = os.environ.get(plugins.FOLDER)
    for folder in [Path(named)] if named else [ROOT.parent / "shared" / "plugins"]:
        try:
            if "command" in plugins.from_folder(folder, plugins.this_machine()):
                return folder
        except LabError:
            continue
    return None


def real_plugins() -> Path | None:
    """The real `command` plugin."""
    folder = real_folder()
    return plugins.from_folder(folder, plugins.this_machine())["command"] if folder else None
