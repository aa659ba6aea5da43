"""The page in a real browser: what it shows, in both colour schemes and on a phone, and that it asks no one for anything."""

import pytest
from playwright.sync_api import Page

from infra.preview.effects import Effect
from infra.preview.files import FileChange
from infra.preview.formats import page as html
from infra.preview.graph import Step
from infra.preview.hosts import HostChange
from infra.preview.report import Cost, Report, StackReport
from tests.browsing import browsing, contrast
from tests.system.conftest import must_be_possible

pytestmark = pytest.mark.lab
DIFF = ("@@ -1,3 +1,4 @@", " location / {", "-  limit 1m;", "+  limit 2m;", "+  " + "x" * 300, " }")
URN = "urn:pulumi:prod::infra::aws:ec2/instance:Instance::machine"
SHOWN = Report(
    "0" * 40,
    "head",
    [
        StackReport(
            "prod",
            "mocks-a-b-c",
            steps=[Step(URN, "replace", ("subnetId",), ("subnetId",))],
            hosts=[
                HostChange(
                    "watchme",
                    "changed",
                    [FileChange("/etc/nginx/site.conf", "changed", DIFF), FileChange("/srv/new.yml", "new", ("@@ -0,0 +1 @@", "+a: 1"))],
                    [Effect("web", "web.service", "restarts")],
                )
            ],
            cost=Cost(60.0, 70.0, "2026-10-05"),
        ),
        StackReport("dev", error="error: files/systems/watchme.yaml: service web: port 'eight'; a number"),
    ],
)  # fmt: skip


@pytest.fixture(scope="module")
def opened(tmp_path_factory):
    must_be_possible()
    path = tmp_path_factory.mktemp("page") / "preview.html"
    path.write_text(html.text(SHOWN))
    with browsing() as browser:
        yield browser, path


def page_of(opened, **options) -> Page:
    browser, path = opened
    page = browser.new_page(**options)
    page.goto(path.as_uri())
    return page


def test_page_shows_the_verdict_and_the_diff_side_by_side(opened):
    page = page_of(opened)
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    assert page.locator("h2").all_inner_texts()[0].startswith("prod: replaces the machine: its disk is lost")
    changed = page.locator("details", has_text="/etc/nginx/site.conf")
    row = changed.locator("tr", has_text="limit 1m;")
    left, right = row.locator("td.minus").bounding_box(), row.locator("td.plus").bounding_box()
    assert left and right and left["x"] + left["width"] <= right["x"] + 60 and abs(left["y"] - right["y"]) < 2
    assert row.locator("td").all_inner_texts() == ["2", "  limit 1m;", "2", "  limit 2m;"]
    page.reload()
    assert [url for url in asked if not url.startswith("file:")] == []


def test_folded_parts_open_with_the_keyboard(opened):
    page = page_of(opened)
    new = page.locator("details", has_text="/srv/new.yml")
    assert new.get_attribute("open") is None
    new.locator("summary").focus()
    page.keyboard.press("Enter")
    assert new.get_attribute("open") is not None and new.locator("td.plus").inner_text() == "a: 1"


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_text_can_be_read_in_both_colour_schemes(opened, scheme):
    page = page_of(opened, color_scheme=scheme)
    for selector in ("h1", "h2", ".bad", "summary code"):
        assert contrast(page, selector, scheme) >= 4.5, selector


def test_a_phone_scrolls_the_diff_and_not_the_page(opened):
    page = page_of(opened, viewport={"width": 375, "height": 800})
    assert page.evaluate("document.documentElement.scrollWidth <= window.innerWidth")


def test_validation_error_is_shown_with_its_place(opened):
    page = page_of(opened)
    assert "service web: port 'eight'" in page.locator("#dev pre").inner_text()
