"""docs/promises.md names tests that exist."""

import re

from tests.support import ROOT


def test_every_promise_names_tests_that_exist():
    existing = {
        name
        for path in (ROOT / "tests").rglob("test_*.py")
        for name in re.findall(r"^def (test_\w+)", path.read_text(), re.MULTILINE)
    }
    rows = [line for line in (ROOT / "docs/promises.md").read_text().splitlines() if line.startswith("| ")]
    rows = [row for row in rows if not row.startswith("| fault |")]
    for row in rows:
        named = re.findall(r"`(test_\w+)`", row.split("|")[3])
        assert named and not set(named) - existing, row
    assert len(rows) > 20
