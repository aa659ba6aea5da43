"""The host's own page in a real browser: green while it is written, never after that; on a phone, in the dark, by eye."""

import time
from pathlib import Path

import pytest

from agent.monitor import page as own
from tests.agent.pages import written
from tests.browsing import browsing, contrast, fits
from tests.system.conftest import must_be_possible

pytestmark = pytest.mark.lab


def broken(world):
    world.active.discard("watchme-ast-api.service")
    world.certificates["api.hey-watch.me"] = (world.time + 3 * 86400, "")


@pytest.fixture(scope="module")
def browser():
    must_be_possible()
    with browsing() as found:
        yield found


@pytest.fixture
def made(tmp_path) -> Path:
    """The page of an unhealthy host, as if it was written now."""
    _, value, _ = written(broken, runs=4)
    path = tmp_path / "index.html"
    path.write_text(own.html({**value, "at": time.time()}))
    return path


def test_fresh_page_is_coloured_and_old_one_never_green(browser, made):
    page = browser.new_page()
    page.goto(made.as_uri())
    assert page.locator("body").get_attribute("class") == "fresh" and page.locator("#age").inner_text() == ""
    green = page.locator(".healthy").first.evaluate("element => getComputedStyle(element).color")
    page.clock.install(time=time.time() + 3600)
    page.goto(made.as_uri())
    assert page.locator("body").get_attribute("class") == "stale"
    assert "written 60 minutes ago: the monitor of this host is not running" in page.locator("#age").inner_text()
    assert page.locator(".healthy").first.evaluate("element => getComputedStyle(element).color") != green


def test_page_without_script_claims_no_state(browser, made):
    page = browser.new_context(java_script_enabled=False).new_page()
    page.goto(made.as_uri())
    assert page.locator("body").get_attribute("class") == "stale"
    assert "Without its script this page cannot show" in page.locator("noscript").inner_text()


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_page_is_readable_in_both_colour_schemes(browser, made, scheme):
    page = browser.new_page(color_scheme=scheme)
    page.goto(made.as_uri())
    for selector in ("h1", ".healthy", ".unhealthy", "td"):
        assert contrast(page, selector, scheme) >= 4.5, selector


def test_a_phone_needs_no_scrolling_from_side_to_side(browser, made):
    page = browser.new_page(viewport={"width": 360, "height": 800})
    page.goto(made.as_uri())
    assert fits(page)


def test_colours_of_the_page_are_also_written_as_text(browser, made):
    page = browser.new_page()
    page.goto(made.as_uri())
    row = page.get_by_role("row", name="ast-api").first
    assert row.get_by_role("rowheader").inner_text() == "ast-api"
    assert "healthy in" in (row.get_by_role("img").get_attribute("aria-label") or "")
    assert "alert condition" in page.get_by_role("status").inner_text()


def test_page_makes_no_request(browser, made):
    page = browser.new_page()
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    page.goto(made.as_uri())
    assert [url for url in asked if not url.startswith("file:")] == []
