"""The forms of a report: what fits, what is escaped, what stands beside what."""

import io
import json

from rich.console import Console

from infra.preview.effects import Effect
from infra.preview.files import FileChange
from infra.preview.formats import as_json, markdown, page, terminal
from infra.preview.formats.page import Row, rows
from infra.preview.graph import Step
from infra.preview.hosts import HostChange
from infra.preview.report import Report, StackReport

DIFF = ("@@ -1,3 +1,3 @@", " one", "-two", "+TWO", "+three", " four")
URN = "urn:pulumi:prod::infra::aws:ec2/instance:Instance::"


def report(hosts: int = 1, files: int = 1, diff: tuple[str, ...] = DIFF, steps: int = 1) -> Report:
    changes = [
        HostChange(f"host{h}", "changed", [FileChange(f"/etc/{f}.conf", "changed", diff) for f in range(files)], [Effect("web", "web.service", "restarts")])
        for h in range(hosts)
    ]  # fmt: skip
    stack = StackReport(
        "prod", "mocks-a-b-c", steps=[Step(f"{URN}m{n}", "delete") for n in range(steps)], hosts=changes
    )
    return Report("0" * 40, "head", [stack])


def comment(made: Report, limit: int = markdown.LIMIT) -> str:
    return markdown.comment(made.stacks[0], made, limit)


def test_a_small_change_is_shown_whole():
    text = comment(report())
    assert text.startswith("<!-- infra preview prod -->\n### 🔶 prod: deletes the machine: its disk is lost")
    assert "```diff\n@@ -1,3 +1,3 @@\n one\n-two\n+TWO" in text and "are shortened to a line" not in text
    assert "| web | restarts | a few seconds;" in text and "plan `mocks-a-b-c`" in text


def test_comment_fits_its_limit_and_counts_the_folded_parts():
    long = (DIFF[0], *[f"+{'x' * 90} {n}" for n in range(400)])
    text = comment(report(hosts=30, files=40, diff=long, steps=2000))
    assert len(text) <= markdown.LIMIT == 65_536
    assert "sections, the least important ones, are shortened to a line" in text
    assert "deletes the machine (2000 of them): its disk is lost" in text and "plan `mocks-a-b-c`" in text


def test_the_longest_diffs_fold_first():
    made = report(files=2)
    long = FileChange("/etc/long.conf", "changed", (DIFF[0], *["+" + "y" * 100] * 100))
    made.stacks[0].hosts[0].files.append(long)
    text = comment(made, 3000)
    assert "- `/etc/long.conf` changed +100 −0" in text and "+TWO" in text and len(text) <= 3000


def test_snippet_is_marked_as_written_by_hand_in_every_form():
    made = report()
    said = "written by hand: the snippet of site a.example"
    made.stacks[0].hosts[0].files.append(FileChange("/etc/nginx/by-hand/a.example.conf", "new", ("+x",), said))
    out = io.StringIO()
    terminal.show(made, Console(file=out, soft_wrap=True), whole=False)
    assert all(said in text for text in (out.getvalue(), comment(made), page.text(made), as_json.text(made)))


def test_diff_in_a_comment_cannot_end_its_block_or_mention():
    text = comment(report(diff=("@@ -1 +1 @@", "+```", "+@everyone <b>")))
    assert "````diff\n@@ -1 +1 @@\n+```\n" in text
    assert "@everyone" not in text and markdown.quiet(text) == text
    assert markdown.inline("<b>") == "\\<b\\>"


def test_whole_folds_nothing_and_else_a_long_diff_is_cut():
    long = (DIFF[0], *[f"+line {n}" for n in range(50)])
    shown = {}
    for whole in (True, False):
        out = io.StringIO()
        terminal.show(report(diff=long), Console(file=out, soft_wrap=True), whole)
        shown[whole] = out.getvalue()
    assert "line 49" in shown[True] and "--whole" not in shown[True]
    assert "line 49" not in shown[False] and "… 21 lines more (--whole)" in shown[False]


def test_deletions_are_red_and_creations_green():
    out = io.StringIO()
    terminal.show(report(), Console(file=out, force_terminal=True, color_system="standard", soft_wrap=True))
    text = out.getvalue()
    assert "\x1b[31mdeleted: machine m0\x1b[0m" in text and "\x1b[32m      +TWO\x1b[0m" in text


def test_a_diff_side_by_side():
    assert list(rows(DIFF)) == [
        Row("hunk", 0, DIFF[0], 0, ""),
        Row("same", 1, "one", 1, "one"),
        Row("both", 2, "two", 2, "TWO"),
        Row("come", 0, "", 3, "three"),
        Row("same", 3, "four", 4, "four"),
    ]


def test_page_is_self_contained_and_escaped():
    text = page.text(report(diff=("@@ -1 +1 @@", "+<script>alert(1)</script>")))
    assert "<script" not in text and "&lt;script&gt;" in text
    assert "http://" not in text and "https://" not in text and "default-src 'none'" in text


def test_json_is_for_programs():
    found = json.loads(as_json.text(report()))
    (stack,) = found["stacks"]
    assert stack["fingerprint"] == "mocks-a-b-c" and stack["steps"][0]["danger"].startswith("its disk is lost")
    assert stack["hosts"][0]["effects"][0]["gap"].startswith("a few seconds")


FORGED = "live-1111111111-2222222222-3333333333-4444444444"


def test_paths_of_a_host_are_escaped_in_markdown():
    made = report()
    path = f"/x</code></summary></details>\n\n### ✅ prod: no change\n\nplan `{FORGED}`\n<!--\x1b[2J"
    made.stacks[0].hosts[0].files.append(FileChange(path, "removed", ("-x",)))
    for limit in (markdown.LIMIT, 1500):
        lines = comment(made, limit).splitlines()
        assert not [
            line for line in lines if line.startswith(("### ✅", f"plan `{FORGED}", "<!--")) and line != lines[0]
        ]
        assert [line for line in lines if line.startswith("plan `")] == ["plan `mocks-a-b-c`"]
        assert "\x1b" not in "".join(lines)


def test_a_path_without_an_end_pushes_nothing_out():
    made = report()
    made.stacks[0].hosts[0].files.append(FileChange("/" + "A" * 200_000, "removed", ("-x",)))
    text = comment(made)
    assert len(text) <= markdown.LIMIT and "plan `mocks-a-b-c`" in text


def test_paths_of_a_host_are_escaped_in_the_terminal():
    made = report()
    host = made.stacks[0].hosts[0]
    host.files.append(FileChange("/x\x1b[2J\nprod: no change", "removed", ("-x\x1b]0;y\x07", "-\u202eabc")))
    made.stacks[0].problems.append("wrong\x1b[2J")
    for force in (False, True):
        out = io.StringIO()
        terminal.show(made, Console(file=out, force_terminal=force, color_system="standard" if force else None), True)
        text = out.getvalue()
        assert not any(order in text for order in ("\x1b[2J", "\x1b]0", "\x07", "\u202e"))
        assert force or "/x\\x1b[2J\\nprod: no change" in text
        assert not [line for line in text.splitlines() if line.startswith("prod: no change")]
