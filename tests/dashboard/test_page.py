"""The dashboard as a page: sound, readable, complete, and without any markup but its own."""

import re
from itertools import pairwise

import pytest

from infra.dashboard import html
from infra.dashboard.facts import Dashboard, StackFacts
from tests.dashboard.made_up import NOW, STATUS, dashboard, host, overview, silent, troubled
from tests.dashboard.parsed import Parsed

HOSTILE = "<script>alert(1)</script>\"'><img src=x onerror=alert(2)>&{x}"
MANY = [host("web"), troubled(), silent(), *(host(f"web{number}") for number in range(3, 20))]
HOSTILE_ANSWER = {
    **STATUS, "services": {HOSTILE: 500}, "units": {HOSTILE: False}, "holder": HOSTILE, "drifted": [HOSTILE] * 2,
    "brought": {"began": HOSTILE, "who": HOSTILE, "kind": HOSTILE}, "alerts": [{"alert": HOSTILE, "text": HOSTILE}],
    "certificates": [[HOSTILE, HOSTILE, HOSTILE], [None, None, None]], "resting": [HOSTILE], "away": {HOSTILE: HOSTILE},
    "follows": {HOSTILE: HOSTILE}, "builds": {HOSTILE: dict.fromkeys(("version", "commit", "created"), HOSTILE)},
    "maintenance": {HOSTILE: {"since": 1, "until": 2, "who": HOSTILE}}, "release": HOSTILE,
}  # fmt: skip
HOSTILE_JOB = {
    **dict.fromkeys(("release", "began", "who", "kind", "outcome", "line"), HOSTILE),
    "changed": [HOSTILE],
    "code": 1,
}
HOSTILE_OVERVIEW = overview(
    jobs=[HOSTILE_JOB],
    backups=[{"service": HOSTILE, "failed": {"at": 1, "why": HOSTILE}, "drill": {"at": 1, "why": HOSTILE}}],
    disks=[{"subject": HOSTILE, "size": 0, "free": 2**52}],
    days={HOSTILE: [0, 1]},
    hours=[{"at": int(NOW), "memory": None, "disks": {HOSTILE: 100}, "answers": 2**52, "errors": 0}],
)
HOSTILE_HOST = host(
    HOSTILE,
    HOSTILE_ANSWER,
    overview=HOSTILE_OVERVIEW,
    region=HOSTILE,
    kept_machines=[HOSTILE],
    deployed={HOSTILE: {HOSTILE: HOSTILE}},
    under_way=HOSTILE,
)
PAGES = {
    "no stack": Dashboard(NOW, [], "en", "UTC", dashboard([]).prices_of),
    "no host": dashboard([]),
    "one": dashboard([host()]),
    "in trouble": dashboard([troubled()]),
    "silent": dashboard([silent()]),
    "twenty": dashboard(MANY),
    "twenty in Japanese": dashboard(MANY, "ja", "Asia/Tokyo"),
    "stack that cannot be asked": dashboard([], error="stack prod has no hosts yet: pulumi up --stack prod"),
    "earlier agent": dashboard([host(overview=None, overview_error="its agent is of an earlier version: pulumi up updates it")]),
    "no history": dashboard([host(overview=overview(hours=[], jobs=[], backups=[], days={}))]),
    "no release": dashboard([host(answer={**STATUS, "release": None, "brought": None})]),
    "hostile": dashboard([HOSTILE_HOST, host(HOSTILE, None, error=HOSTILE)]),
    "hostile stack": Dashboard(NOW, [StackFacts(HOSTILE, error=HOSTILE)], "en", "UTC", dashboard([]).prices_of),
}  # fmt: skip


@pytest.fixture(params=PAGES)
def page(request) -> str:
    return html(PAGES[request.param])


def test_every_element_is_closed_and_every_id_is_its_own(page):
    parsed = Parsed(page)
    assert parsed.faults == []
    ids = [element.attributes["id"] for element in parsed.elements if "id" in element.attributes]
    assert len(ids) == len(set(ids))
    for element in parsed.elements:
        names = [element.attributes.get("href", "#")[1:], element.attributes.get("aria-labelledby", "")]
        assert all(name in ids for name in names if name), element


def test_it_can_be_heard(page):
    """Without being seen: language, headings in their order, heads of tables, words for drawings."""
    parsed = Parsed(page)
    assert (
        parsed.all("html")[0].attributes["lang"] in ("en", "ja")
        and len(parsed.all("h1")) == len(parsed.all("main")) == 1
    )
    levels = [int(element.tag[1]) for element in parsed.elements if re.fullmatch("h[1-6]", element.tag)]
    assert all(after <= before + 1 for before, after in pairwise(levels))
    assert all(element.attributes.get("scope") in ("col", "row") for element in parsed.all("th"))
    for element in parsed.all("svg"):
        assert element.children[0].tag == "title" and element.children[0].text.strip()
        assert element.attributes["role"] == "img"
    assert parsed.all("img") == [] and all(
        e.attributes.get("aria-label") for e in parsed.elements if e.attributes.get("role") == "region"
    )


def test_every_row_has_a_cell_for_each_head(page):
    for table in Parsed(page).all("table"):
        (head,) = table.children[0].children
        assert {len(row.children) for row in table.children[1].children} <= {len(head.children)}, head.text


def test_it_asks_for_nothing_and_runs_nothing(page):
    parsed = Parsed(page)
    assert not {"script", "link", "iframe", "img", "object", "form", "base"} & {
        element.tag for element in parsed.elements
    }
    for element in parsed.elements:
        assert not [name for name in element.attributes if name.startswith("on") or name in ("src", "srcset", "action")]
        assert element.attributes.get("href", "#").startswith("#")
    style = parsed.all("style")[0].text
    assert "url(" not in style and "@import" not in style
    policy = next(e for e in parsed.all("meta") if e.attributes.get("http-equiv") == "Content-Security-Policy")
    assert policy.attributes["content"].startswith("default-src 'none'; style-src 'unsafe-inline'")


def test_hostile_text_is_text():
    text = html(PAGES["hostile"])
    assert "<script" not in text and "<img" not in text and "&lt;script&gt;alert(1)&lt;/script&gt;" in text
    assert "onerror=alert(2)&gt;" in text and Parsed(text).faults == []


def test_a_host_shows_release_services_sites_month_backups_and_jobs():
    text = Parsed(html(dashboard([host()]))).root.text
    for part in (
        "1 host, All healthy, as of 2026-11-18 11:06 UTC.",
        "Serves release 3f2a9c0d41be, deployed 2026-11-17 10:00 UTC by alice@laptop (apply)",
        "1.4.2, commit abababababab, 2026-11-16 08:30 UTC",
        "61 days left",
        "Memory: 5.0 of 8.0 GiB in use (62 %)",
        "Disk /srv: 17.0 of 50.0 GiB in use (34 %)",
        "Memory in use over 30 days: 62 % now, at most 63 % (",
        "Requests per hour: ",
        "7 h ago3.0 MiB",
        "/etc/x and 1 more",
        "rolled back: shop-web answered 500",
        "69.60 USD",
        "AWS's on-demand prices of 2026-10-05",
    ):
        assert part in text, part


def test_requests_that_were_not_all_counted_are_at_least_so_many():
    hours = overview()["hours"]
    text = html(
        dashboard([host(overview=overview(hours=[*hours[:-2], *({**hour, "at_least": True} for hour in hours[-2:])]))])
    )
    page = Parsed(text).root.text
    assert re.search(r"Requests per hour: at least [\d,]+ in all, at least [\d,]+ answered with an error", page)
    assert (
        "in 2 of the hours the log did not have all requests any more; at least" in page
        and "at most" not in page.split("per hour")[1]
    )
    exact = Parsed(html(dashboard([host()]))).root.text
    assert "at least" not in exact and "in an hour" in exact


def test_trouble_is_in_the_colour_of_trouble():
    parsed = Parsed(html(dashboard([troubled()])))
    red = [element.text for element in parsed.elements if element.attributes.get("class") == "unhealthy"]
    for part in (
        "1 need attention", "needs attention", "0 of 2 healthy", "answers 502", "does not answer", "disk", "3 days left",
        "expired at 2026-11-01 00:00 UTC", "0 days left", "none", "one is missing", "rolled back: shop-web answered 500",
        "not running: shop-db.service", "60 min ago: no tables",
        "interrupted: release cccccccccccc is neither committed nor rolled back",
        "2 h ago: the repository does not answer, since 2026-11-17 01:00 UTC",
    ):  # fmt: skip
        assert part in red, part
    text = parsed.root.text
    for part in (
        "until 2026-11-18 12:06 UTC, by bob@desk", "changed by hand: /etc/a and 1 more", "shop-worker follows tag main",
        "waiting until their name points here: shop-cron.service", "reader is stopped, since its data is on home",
        "keeps machine 1 (t4g.small): infra host retire web2 deletes it", "machine 2 is to take over",
    ):  # fmt: skip
        assert part in text, part


def test_a_silent_host_is_a_row_with_the_reason():
    parsed = Parsed(html(dashboard([host(), silent()])))
    (row,) = [row for row in parsed.all("tr") if "192.0.2.9" in row.text]
    assert "gone (ubuntu@192.0.2.9:22) does not answer: timed out" in row.text
    assert "2 hosts, 1 did not answer" in parsed.root.text and "Serves release" in parsed.root.text


def test_times_are_in_the_readers_zone():
    text = html(dashboard([troubled()], timezone="Asia/Tokyo"))
    assert "2026-11-17 19:00 JST</time>" in text and "since 2026-11-17 10:00 JST" in text
    assert not re.search(r"\d\d:\d\d UTC", text.replace("expired at 2026-11-01 00:00 UTC", ""))


def test_the_same_facts_are_the_same_page():
    assert html(dashboard(MANY)) == html(dashboard(MANY)) and len(html(dashboard(MANY))) < 2_000_000


COLOUR = re.compile(r"--([\w-]+): (#[0-9a-f]{6});")


def light(colour: str) -> float:
    parts = [int(colour[place : place + 2], 16) / 255 for place in (1, 3, 5)]
    red, green, blue = (part / 12.92 if part <= 0.03928 else ((part + 0.055) / 1.055) ** 2.4 for part in parts)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


@pytest.mark.parametrize("is_dark", [False, True], ids=["light", "dark"])
@pytest.mark.parametrize("name", ["ink", "quiet", "link", "use", "good", "bad"])
def test_every_colour_of_text_and_lines_is_legible(name, is_dark):
    """As WCAG 2 counts it, on the page's own paper."""
    style = Parsed(html(dashboard([]))).all("style")[0].text
    dark = r"@media \(prefers-color-scheme: dark\) \{ :root \{(.*?)\} \}"
    plain = dict(COLOUR.findall(re.sub(dark, "", style)))
    colours = plain | (dict(COLOUR.findall(" ".join(re.findall(dark, style)))) if is_dark else {})
    front, back = sorted((light(colours[name]), light(colours["paper"])))
    assert (back + 0.05) / (front + 0.05) >= 4.5
