"""What a preview says of a group of hosts: its spread services, its hosts, and the memory for them."""

import io
import json
from dataclasses import dataclass
from pathlib import Path

import pytest
from rich.console import Console

from infra.preview.formats import as_json, markdown, page, terminal
from infra.preview.formats.words import facts_of_group, group_line
from infra.preview.groups import compare_groups, mark_spread
from infra.preview.hosts import compare_hosts
from infra.preview.report import Report, StackReport
from infra.preview.snapshot import groups_of, hosts_of, image_digests
from rendering.groups import GROUP_FILE
from tests.catalogue.shop import lines, read_shop
from tests.groups.shop import HOST, own_machines, spread_web

STACK = "/opt/web/swarm-stack.json"
BUILD = {"shop-web": {":latest": f"sha256:{'a' * 64}"}}
ANOTHER = {"shop-web": {":latest": f"sha256:{'b' * 64}"}}
THREE, TWO = "box, box-2, box-3", "box, box-2"


SECOND = """\
  - name: second
    kind: compose
    purpose: Another one
    image: {repository: shop-second, digest: "sha256:cccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccc"}
    port: 8041
    container_port: 8080
    spread: 1
    memory: {limit: 512m}
"""


@dataclass
class Side:
    """One release of the shop's hosts, and the memory that the program puts out of its groups."""

    hosts: dict
    free: dict


def side(root: Path, change=lambda text: text, images=BUILD, hosts=None, **box) -> Side:
    own = {"box": {**HOST, "kind": "ec2", "systems": ["shop"], "count": 3, **box}}
    shop = read_shop(root, "shop", change=lambda text: change(spread_web(text)), hosts=hosts or own)
    return Side(hosts_of(shop, image_digests(shop) | images, b"key"), groups_of(shop))


def compared(before: Side, after: Side):
    return [*compare_groups(before.hosts, after.hosts, (before.free, after.free))]


def said(before: Side, after: Side) -> list[str]:
    return [line for group in compared(before, after) for line in (group_line(group), *facts_of_group(group))]


def effects(before: Side, after: Side) -> dict[str, str]:
    """What happens to the services of the group's first host."""
    changes = compare_hosts(before.hosts, after.hosts)
    marked = mark_spread(changes, compared(before, after), before.hosts, after.hosts)
    return {effect.service: effect.how for change in marked if change.host == "box" for effect in change.effects}


def spread_as(number: int):
    return lambda text: text.replace("spread: 3", f"spread: {number}")


def with_another_value(text: str) -> str:
    return text.replace("postgres://shop-db/shop", "postgres://shop-db/other")


def with_second(text: str) -> str:
    """Another service, which is spread too."""
    return text.replace("  - name: worker\n", f"{SECOND}  - name: worker\n")


def alone(text: str) -> str:
    return text.replace("    spread: 3\n", "")


IMAGE = "image shop-web@sha256:aaaaaaaaaaaa"
REPLACED = "its copies are replaced one after the other, each new one before an old one ends"
MEMORY = (
    "memory of the spread services, with the copy that starts before another one ends, of what the hosts have for "
    "them: "
)
REDUCED = "the same without that copy, while the group's largest host is down: "

OF_TOO_MANY = json.dumps(
    {
        "services": {
            "web": {
                "image": "web:1",
                "deploy": {
                    "replicas": 10**4000,
                    "placement": {"constraints": []},
                    "resources": {"reservations": {"memory": "256m"}},
                },
            }
        }
    }
)
# Change of the release after the first one (three of web on three hosts); what is said
CASES = {
    "nothing": ({}, []),
    "spread": (
        {"change": spread_as(4)},
        [
            THREE,
            f"web: 3 copies on any of {THREE} → 4 copies on any of {THREE}; {IMAGE}; no copy is replaced, only their number changes",
            f"{MEMORY}1024 of 20800 MiB → 1280 of 20800 MiB",
            f"{REDUCED}768 of 13632 MiB → 1024 of 13632 MiB",
        ],
    ),
    "one of it": (
        {"change": spread_as(1)},
        [
            THREE,
            f"web: 3 copies on any of {THREE} → 1 copy on any of {THREE}; {IMAGE}; no copy is replaced, only their number changes",
            f"{MEMORY}1024 of 20800 MiB → 512 of 20800 MiB",
            f"{REDUCED}768 of 13632 MiB → 256 of 13632 MiB",
        ],
    ),
    "image": (
        {"images": ANOTHER},
        [THREE, f"web: 3 copies on any of {THREE}; {IMAGE} → shop-web@sha256:bbbbbbbbbbbb; {REPLACED}"],
    ),
    "variable": ({"change": with_another_value}, [THREE, f"web: 3 copies on any of {THREE}; {IMAGE}; {REPLACED}"]),
    "a host more": (
        {"count": 4},
        [
            f"{THREE} → {THREE}, box-4",
            "new in the group: box-4",
            f"web: 3 copies on any of {THREE} → 3 copies on any of {THREE}, box-4; {IMAGE}; its copies stay where they are",
            f"{MEMORY}1024 of 20800 MiB → 1024 of 27968 MiB",
            f"{REDUCED}768 of 13632 MiB → 768 of 20800 MiB",
        ],
    ),
    "a host less": (
        {"count": 2},
        [
            f"{THREE} → {TWO}",
            "no longer in the group: box-3",
            f"web: 3 copies on any of {THREE} → 3 copies on any of {TWO}; {IMAGE}; copies on box-3 start elsewhere before they end there",
            f"{MEMORY}1024 of 20800 MiB → 1024 of 13632 MiB",
            f"{REDUCED}768 of 13632 MiB → 768 of 6464 MiB",
        ],
    ),
    "a host less, and fewer of it": (
        {"count": 2, "change": spread_as(2)},
        [
            f"{THREE} → {TWO}",
            "no longer in the group: box-3",
            f"web: 3 copies on any of {THREE} → 2 copies on any of {TWO}; {IMAGE}; no copy is replaced, only their number changes, "
            "copies on box-3 start elsewhere before they end there",
            f"{MEMORY}1024 of 20800 MiB → 768 of 13632 MiB",
            f"{REDUCED}768 of 13632 MiB → 512 of 6464 MiB",
        ],
    ),
    "a service more": (
        {"change": with_second},
        [
            THREE,
            f"second: none → 1 copy on any of {THREE}; image shop-second@sha256:cccccccccccc; the group runs it for the first time",
            f"{MEMORY}1024 of 20800 MiB → 1792 of 20736 MiB",
            f"{REDUCED}768 of 13632 MiB → 1280 of 13568 MiB",
        ],
    ),
    "alone again": (
        {"count": 1},
        [
            f"{THREE} → box",
            "no longer in the group: box-2, box-3",
            f"web: 3 copies on any of {THREE} → a container of the group's first host; {IMAGE}; box runs it alone again",
            f"{MEMORY}1024 of 20800 MiB → none",
            f"{REDUCED}768 of 13632 MiB → none",
        ],
    ),
    "spread no more": (
        {"change": alone},
        [
            THREE,
            f"web: 3 copies on any of {THREE} → a container of the group's first host; {IMAGE}; box runs it alone again",
            f"{MEMORY}1024 of 20800 MiB → none",
            f"{REDUCED}768 of 13632 MiB → none",
        ],
    ),
}  # fmt: skip


@pytest.mark.parametrize(("after", "report"), CASES.values(), ids=CASES)
def test_change_of_a_group_is_reported(tmp_path, after, report):
    assert said(side(tmp_path), side(tmp_path, **after)) == report


def test_service_that_is_spread_for_the_first_time_was_a_container(tmp_path):
    (first, hosts, web, *memory) = said(side(tmp_path, count=1), side(tmp_path))
    assert [first, hosts] == [f"box → {THREE}", "new in the group: box-2, box-3"]
    assert web == (
        f"web: a container of the group's first host → 3 copies on any of {THREE}; {IMAGE}; the group runs it from now on"
    )
    assert memory == [f"{MEMORY}none → 1024 of 20800 MiB", f"{REDUCED}none → 768 of 13632 MiB"]
    # The same where the group is there already
    assert web in said(side(tmp_path, alone), side(tmp_path))


def test_service_that_is_removed_ends(tmp_path):
    assert said(side(tmp_path, with_second), side(tmp_path))[1] == (
        f"second: 1 copy on any of {THREE} → none; image shop-second@sha256:cccccccccccc; its copies end"
    )


def test_hosts_without_a_group_have_no_part_in_it(tmp_path):
    before, after = side(tmp_path, count=1), side(tmp_path, images=ANOTHER, count=1)
    assert compared(before, after) == []
    changes = compare_hosts(before.hosts, after.hosts)
    assert [change.how for change in changes] == ["changed"]
    assert mark_spread(changes, [], before.hosts, after.hosts) == changes
    report = Report("0" * 40, "head", [StackReport("prod", hosts=changes)])
    assert "groups" not in json.loads(as_json.text(report))["stacks"][0]


def test_figures_are_those_of_the_check(tmp_path):
    """What is refused, and what is warned of, by the same numbers."""
    own = own_machines(box="961m", two="257m", three="257m")
    shop = read_shop(tmp_path, "shop", change=spread_web, hosts=own)
    fault = "need 1024 MiB, with 256 MiB for the copy that starts before another one ends, and its group has 770 MiB"
    assert fault in lines(shop)
    nothing = Side({}, {})
    assert f"{MEMORY}none → 1024 of 770 MiB" in said(nothing, side(tmp_path, hosts=own))

    own = own_machines(box="961m", two="513m", three="257m")
    assert "need 768 MiB, and without its largest host the group has 513 MiB" in lines(
        read_shop(tmp_path, "shop", change=spread_web, hosts=own)
    )
    assert f"{REDUCED}none → 768 of 513 MiB" in said(nothing, side(tmp_path, hosts=own))


def test_host_that_becomes_too_small_for_a_copy_is_left(tmp_path):
    before = side(tmp_path, hosts=own_machines(box="2g", two="2g", three="513m"))
    after = side(tmp_path, hosts=own_machines(box="2g", two="2g", three="200m"))
    (_, web, *_) = said(before, after)
    assert web == (
        f"web: 3 copies on any of box, two, three → 3 copies on any of box, two; {IMAGE}; copies on three start "
        "elsewhere before they end there"
    )
    assert effects(before, after)["web"] == "handed to the group again"


@pytest.mark.parametrize(
    ("after", "how"),
    [
        ({"images": ANOTHER}, "copies one after the other"),
        ({"change": with_another_value}, "copies one after the other"),
        ({"change": spread_as(2)}, "another number of copies"),
    ],
)
def test_copies_do_not_restart_with_the_unit_that_brings_them_up_to_date(tmp_path, after, how):
    assert effects(side(tmp_path), side(tmp_path, **after))["web"] == how


def edited(one: Side, path: str, text: str) -> Side:
    box = one.hosts["box"]
    return Side(one.hosts | {"box": {**box, "files": box["files"] | {path: text}}}, one.free)


@pytest.mark.parametrize("text", ["{", "[]", '{"services": {"web": {"deploy": []}}}', "[" * 100_000, OF_TOO_MANY])
def test_file_that_cannot_be_read_is_reported_as_such(tmp_path, text):
    """A host may have any."""
    before, after = edited(side(tmp_path), STACK, text), side(tmp_path, images=ANOTHER)
    assert said(before, after)[1] == (
        f"web: not known → 3 copies on any of {THREE}; image shop-web@sha256:bbbbbbbbbbbb; what becomes of its copies is "
        "not known: its file on box cannot be read"
    )
    assert effects(before, after)["web"].startswith("restarts")
    assert compared(edited(before, GROUP_FILE, text), edited(after, GROUP_FILE, text)) == []


def test_hand_edit_of_a_file_that_the_release_keeps_is_no_change(tmp_path):
    assert compared(edited(side(tmp_path), STACK, "{"), side(tmp_path)) == []


def test_memory_that_the_last_update_did_not_put_out_is_no_change(tmp_path):
    before, after = side(tmp_path), side(tmp_path)
    assert compared(Side(before.hosts, {}), after) == []
    assert f"{MEMORY}1024 MiB → 1280 of 20800 MiB" in said(Side(before.hosts, {}), side(tmp_path, spread_as(4)))


def test_group_is_in_every_form(tmp_path):
    before, after = side(tmp_path), side(tmp_path, spread_as(4))
    report = Report("0" * 40, "head", [StackReport("prod", "mocks-a-b-c", groups=compared(before, after))])
    out = io.StringIO()
    terminal.show(report, Console(file=out, soft_wrap=True), whole=False)
    texts = [out.getvalue(), markdown.whole(report), page.text(report)]
    for line in ("3 copies on any of box, box-2, box-3 → 4 copies", "1024 of 20800 MiB → 1280 of 20800 MiB", THREE):
        assert all(line in text for text in texts)
    (group,) = json.loads(as_json.text(report))["stacks"][0]["groups"]
    assert (group["leader"], group["memory"][1]) == ("box", {"limits": 1280, "room": 20800})
