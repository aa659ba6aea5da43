"""The comment of a pull request in Japanese: its table is whole, and nothing on it is English but names."""

import ast
import re
import string
from pathlib import Path

import pytest

from agent.wording import phrase
from infra import comment as comments
from infra.move.phases import LEFTOVERS_GO, MACHINE_GOES, STEPS, WAYS, Phase
from infra.preview import data, live, report, steps
from infra.preview.effects import GAPS, LABELS, Effect
from infra.preview.files import FileChange
from infra.preview.formats import as_json, markdown, words
from infra.preview.graph import Step, kinds
from infra.preview.groups import Copies, GroupChange, SpreadChange
from infra.preview.hosts import HostChange, Room
from infra.preview.japanese import TEXTS
from infra.preview.report import Cost, Report, StackReport
from policy.facts import Finding
from tests.support import ROOT

JAPANESE = re.compile("[\u3000-\u30ff\u4e00-\u9fff\uff00-\uffef]")
# Texts that are data, or are chosen before they are said
CHOSEN = {
    *(LABELS.get(way, way) for way in GAPS), *GAPS.values(), *report.WORDS.values(), *(verb for both in report.VERBS.values() for verb in both),
    *report.EFFECT, *report.HEALTH, *report.SSH.values(), *report.LOSSES.values(), *words.SOURCES.values(),
    *words.HOSTS.values(), words.PORT, words.ADDRESS, words.SPREAD_MEMORY, words.REDUCED_MEMORY,
    *words.COPIES, *words.RUNS.values(), *markdown.HEAD, comments.ORIGIN, comments.AT, live.UNASKED,
    live.OTHER_RELEASE, *STEPS, MACHINE_GOES, LEFTOVERS_GO, *WAYS.values(), "new", "changed", "removed",
    *(text for kind in kinds().values() for text in (kind.name, kind.lost, *kind.update.values())),
} - {""}  # fmt: skip
SOURCES = [*(ROOT / "infra/preview").rglob("*.py"), ROOT / "infra/comment.py"]


def forms_of(path: Path) -> set[str]:
    """The texts that a program says, as it wrote them."""
    found, source = set(), path.read_text()
    for node in ast.walk(ast.parse(source)) if "wording" in source or "speaker" in source else []:
        name = getattr(node.func, "id", "") if isinstance(node, ast.Call) else ""
        if isinstance(node, ast.Call) and name in ("phrase", "worded", "say", "join_phrases") and node.args:
            found |= {part.value for part in ast.walk(node.args[0]) if isinstance(part, ast.Constant)}
        if isinstance(node, ast.Assign) and "form" in ast.unparse(node.targets[0]).split(", "):
            found |= {part.value for part in ast.walk(node.value) if isinstance(part, ast.Constant)}
    return {text for text in found if isinstance(text, str)}


def names(form: str) -> set[str]:
    return {f"{name}:{how}" for _, name, how, _ in string.Formatter().parse(form) if name}


def test_japanese_table_of_previews_has_exactly_the_used_texts():
    used = set().union(*(forms_of(path) for path in SOURCES))
    assert sorted((used | CHOSEN) - set(TEXTS)) == []
    assert sorted(set(TEXTS) - used - CHOSEN) == []


@pytest.mark.parametrize("form", TEXTS)
def test_a_text_has_the_same_values_in_both_languages(form):
    assert names(TEXTS[form]) == names(form)
    assert JAPANESE.search(re.sub(r"{.*?}|Elastic IP", "語", TEXTS[form]))


URN = "urn:pulumi:prod::infra::{}::{}"
INSTANCE, OPENING = "aws:ec2/instance:Instance", "aws:vpc/securityGroupIngressRule:SecurityGroupIngressRule"
# What stays as it is: names, paths, products, units, keys of resources, and what the policy says
KEPT = re.compile(
    r"<[^>]*>|`[^`]*`|/[a-z]\S*|\bweb\.service|\b(?:prod|web|admin|box|totton|home|m\d|rule|db|notes|root|ap-northeast-1"
    r"|AWS|SSH is open|SSH|Elastic|IP|DNS|TTL|MiB|CPU|Retry-After|infra:\w+|single|arm64|x86_64|ami|instanceType|blue-green|chown"
    r"|error: ssh-open|your own networks)\b",
    re.ASCII,
)


def full() -> Report:
    """Of all that a comment can show, something."""
    effects = [Effect("web", "web.service", way) for way in GAPS]
    unseen = phrase("its content changes in a part that is not shown")
    files = [
        FileChange("/etc/a.conf", "changed", ("@@ -1 +1 @@", "-1", "+2"), unseen),
        FileChange("/etc/b.conf", "new", ("+1",)), FileChange("/etc/c.conf", "removed", ("-1",)),
    ]  # fmt: skip
    kept = {"service": "db", "named": "postgres:15", "kept": {"/data": "notes"}, "user": ""}
    moved = kept | {"named": "postgres:16", "kept": {}, "user": "root"}
    step = {"key": "k", "service": "web", "needs": ["db"], "said": "/bin/migrate", "limit": 60.0}
    lines = [*data.changes({"containers": [kept]}, {"containers": [moved]}), *steps.changes(None, {"steps": [step]})]
    host = HostChange(
        "box", "changed", files, effects, (Room(100, 200), Room(150, None)), {"80": ("", "web")}, {"10.0.0.1": ("web", "")},
        {"web": ("/a", "/b")}, ["/lost"], ["/gained"], ["/opened"], lines,
    )  # fmt: skip
    spread = [Copies("spread", count, ["box", "home"], "web:1") for count in (1, 2)]
    group = GroupChange(
        "box", (["box", "m1"], ["box", "home"]),
        [
            SpreadChange("web", *spread, [phrase("no copy is replaced, only their number changes")], "another number of copies"),
            SpreadChange("web", Copies("container"), Copies("unknown"), [phrase("its copies stay where they are")], ""),
            SpreadChange("db", Copies("spread", 1, [], "web:1"), Copies("none"), [phrase("its copies end")], ""),
        ],
        (None, Room(100, 200)), (Room(80, None), Room(80, 90)),
    )  # fmt: skip
    processor = phrase("another processor ({before} → {after})", before="arm64", after="x86_64")
    cloud = [
        Step(URN.format(INSTANCE, "m1"), "replace", ("ami",), ("ami", processor)),
        Step(URN.format(INSTANCE, "m2"), "update", ("instanceType",)),
        Step(URN.format("aws:route53/record:Record", "m3"), "delete"),
        Step(URN.format(OPENING, "rule"), "create", (), (), None, {"cidrIpv4": "192.0.2.0/24", "fromPort": 22}),
    ]
    stack = StackReport(
        "prod", "mocks-a-b-c-d", steps=cloud, hosts=[host, HostChange("home", "gone"), HostChange("m4", "moved")],
        groups=[group],
        cost=Cost(10.0, 12.5, "2026-11-01"), findings=[Finding("ssh-open", "rule", "SSH is open", "your own networks")],
        phases=[Phase(name, "ap-northeast-1", {f"m{number}": "create"}) for number, name in enumerate(STEPS)],
        replaces=["box"], goes=[phrase("{system} from {giver} to {taker}", system="totton", giver="box", taker="home")],
        hosts_say=[phrase("{host} leaves the stack; it was not contacted", host="m4")], language="ja",
    )  # fmt: skip
    return Report("0" * 40, phrase("{commit} with uncommitted changes", commit="0123456789"), [stack])


def english_in(text: str) -> list[str]:
    plain = re.sub(r"```.*?```", "", text, flags=re.DOTALL).replace("\\", "")
    return re.findall(r"[A-Za-z]{2,}", KEPT.sub(" ", plain))


def test_nothing_in_a_comment_is_english_but_names():
    made = full()
    text = markdown.comment(made.stacks[0], made)
    assert text.startswith(
        "<!-- infra preview prod -->\n### ⛔ prod: ポリシー違反のため拒否（1件）：rule：SSH is open。"
    )
    assert english_in(text) == []
    for line in (
        "- 置き換え：インスタンス m1（ami、CPUアーキテクチャの変更（arm64 → x86_64））: **ディスクの内容は",
        "| web | 再起動 | 数秒（プロキシがRetry-After付きの503を返す） |",
        "- サービスのメモリ上限の合計：100／200 MiB → 150 MiB",
        "- dbのデータ：/dataはnotesではなくなります。",
        "プラン `mocks-a-b-c-d`",
    ):
        assert line in text, line


def test_truncation_is_reported_in_japanese():
    made = full()
    text = markdown.comment(made.stacks[0], made, 3000)
    assert "件数だけを表示しています。全体の表示：`infra preview --stack prod --whole`" in text and len(text) <= 3000


MOVED = ("ap-southeast-2", "ap-northeast-1")
ONE_LINE = {
    "no change": ({}, "### ✅ prod: 変更なし"),
    "an error": ({"error": "error: x is wrong\nerror: y"}, "### ⛔ prod: カタログの検証エラー：x is wrong（ほか1件）"),
    "a move": ({"moves": MOVED, "steps": [Step(URN.format(INSTANCE, "m1"), "create")]}, "ap-southeast-2からap-northeast-1へリージョン移行（0ステップ）"),
}  # fmt: skip


@pytest.mark.parametrize(("made", "line"), ONE_LINE.values(), ids=ONE_LINE)
def test_summary_of_a_stack_is_one_japanese_line(made, line):
    stack = StackReport("prod", language="ja", **made)
    assert line in markdown.comment(stack, Report("0" * 40, "head", [stack]))


def test_json_is_in_english_in_every_language():
    text = as_json.text(full())
    assert not JAPANESE.search(text) and "refused by policy (1): rule: SSH is open; " in text


def test_author_of_a_comment_is_named_in_the_language_of_the_checked_out_stack(tmp_path):
    text = (ROOT / "Pulumi.prod.yaml").read_text()
    (tmp_path / "Pulumi.prod.yaml").write_text(f"{text.rstrip()}\n  infra:language: ja\n")
    (tmp_path / "Pulumi.dev.yaml").write_text("config: {infra:language: de}\n")
    assert comments.languages(tmp_path, ["prod", "dev", "none"]) == {"prod": "ja"}
    assert "このリポジトリではなくプルリクエスト自体のコード（abc）" in comments._safe("<!-- x -->\n### y", "abc", "ja")
    assert "the code of this pull request itself at abc, and not" in comments._safe("<!-- x -->\n### y", "abc", "en")
