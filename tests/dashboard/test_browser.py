"""The dashboard in a real browser: on a phone, in both colour schemes, without a request."""

import pytest

from infra.dashboard import html
from tests.browsing import browsing, contrast, fits
from tests.dashboard.made_up import dashboard, host, silent, troubled
from tests.system.conftest import must_be_possible

pytestmark = pytest.mark.lab


@pytest.fixture(scope="module")
def browser():
    must_be_possible()
    with browsing() as started:
        yield started


@pytest.fixture(params=["en", "ja"])
def path(request, tmp_path):
    file = tmp_path / "dashboard.html"
    file.write_text(html(dashboard([host(), troubled(), silent()], request.param, "Asia/Tokyo")))
    return file


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_it_can_be_read_in_both_colour_schemes(browser, path, scheme):
    page = browser.new_page(color_scheme=scheme)
    page.goto(path.as_uri())
    for selector in ("h1", ".healthy", ".unhealthy", "td", "a", ".quiet"):
        assert contrast(page, selector, scheme) >= 4.5, selector


def test_a_phone_needs_no_scrolling_from_side_to_side(browser, path):
    page = browser.new_page(viewport={"width": 360, "height": 800})
    page.goto(path.as_uri())
    assert fits(page)


def test_it_asks_no_one_for_anything(browser, path):
    page = browser.new_page()
    requests: list[str] = []
    page.on("request", lambda request: requests.append(request.url))
    page.goto(path.as_uri())
    assert [url for url in requests if not url.startswith("file:")] == []
    assert page.get_by_role("img").first.is_visible() and page.get_by_role("rowheader", name="web2").count()
