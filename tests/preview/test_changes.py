"""What reviewers read of a change, held against the change itself."""

import io

import pytest
from rich.console import Console

from infra.preview import commits, compare
from infra.preview.formats import as_json, markdown, page, terminal
from infra.preview.report import Report
from tests.preview.changes import ROTATED, ROWS, SECRET, Row, clone


@pytest.fixture(scope="module")
def places(tmp_path_factory):
    """Two clones of the working tree: what was, and what is to be."""
    return [clone(tmp_path_factory.mktemp(name)) for name in ("base", "head")]


def previewed(places, row: Row) -> Report:
    kept = [
        {path: path.read_bytes() for path in [*root.glob("Pulumi.*.yaml"), *root.glob("files/systems/*")]}
        for root in places
    ]
    try:
        for root in places:
            row.before(root)
        row.change(places[1])
        (pair,) = commits.snapshots(*places, ["prod"]).values()
    finally:
        for files in kept:
            for path, content in files.items():
                path.write_bytes(content)
    return Report("0" * 40, "a clone", [compare.compared(pair["base"], pair["head"])])


def in_terminal(report: Report) -> str:
    out = io.StringIO()
    terminal.show(report, Console(file=out, soft_wrap=True), whole=True)
    return out.getvalue()


@pytest.mark.parametrize("row", ROWS.values(), ids=ROWS)
def test_a_change_is_told(places, row):
    report = previewed(places, row)
    text, (stack,) = in_terminal(report), report.stacks
    assert row.verdict in stack.verdict, text
    assert [line for line in row.says if line not in text] == [], text
    everywhere = {
        "terminal": text,
        "markdown": markdown.whole(report),
        "json": as_json.text(report),
        "html": page.text(report),
    }
    assert [line for line in row.never if line in text] == []
    assert [secret for secret in (SECRET, ROTATED) for shown in everywhere.values() if secret in shown] == []
    assert report.code == row.code and all(shown.strip() for shown in everywhere.values())
    assert len(everywhere["markdown"]) <= markdown.LIMIT
