"""Which `command` plugins the table of behaviours is held to: the stand-in, and the real one where there is one."""

from tests.fakes.real import real_plugins


def pytest_report_header():
    found = real_plugins()
    return f"command plugin: the stand-in, and {found or 'no real one (LAB_PLUGINS names its folder)'}"


def pytest_terminal_summary(terminalreporter):
    if real_plugins() is None:
        terminalreporter.write_line(
            "tests/fakes: no real command plugin here, so the stand-in alone was held to the table of behaviours "
            "(LAB_PLUGINS=DIR names the real one's folder)"
        )
