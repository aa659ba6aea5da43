"""Debian's Chromium for tests that look at a page, and what they ask of it."""

from collections.abc import Iterator
from contextlib import contextmanager

from playwright.sync_api import Browser, Page, sync_playwright

from lab import tools

CONTRAST = """element => {
  const numbers = colour => colour.match(/[\\d.]+/g).map(Number);
  const light = ([r, g, b]) => [r, g, b].map(v => v / 255).map(v => v <= 0.03928 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4)
    .reduce((sum, v, i) => sum + v * [0.2126, 0.7152, 0.0722][i], 0);
  const [front, back] = [numbers(getComputedStyle(element).color), BACK].map(light);
  return (Math.max(front, back) + 0.05) / (Math.min(front, back) + 0.05);
}"""
BACKS = {"light": "[255, 255, 255]", "dark": "[18, 18, 18]"}


@contextmanager
def browsing() -> Iterator[Browser]:
    with sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=tools.ensure_browser(), args=["--no-sandbox"])
        try:
            yield browser
        finally:
            browser.close()


def contrast(page: Page, selector: str, scheme: str) -> float:
    """Of the first such element's text with the page behind it, as WCAG counts it."""
    return page.locator(selector).first.evaluate(CONTRAST.replace("BACK", BACKS[scheme]))


def fits(page: Page) -> bool:
    """Does nothing of the page have to be scrolled to from side to side."""
    return page.evaluate("document.documentElement.scrollWidth <= window.innerWidth")
