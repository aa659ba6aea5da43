"""`python -m tests.pictures`: the page of the lab's WatchMe as a browser shows it, for docs/images/."""

import time
from pathlib import Path

from playwright.sync_api import sync_playwright

from lab import tools
from lab.say import step
from lab.settings import ROOT, Lab, default_lab
from lab.table import PublicClient

PLACE = ROOT / "docs" / "images"
DESK, PHONE = {"width": 1100, "height": 900}, {"width": 390, "height": 844}
# File → window, colours, and how many seconds the page is old
VIEWS = {
    "status": (DESK, "light", 0),
    "status-dark": (DESK, "dark", 0),
    "status-phone": (PHONE, "light", 0),
    "status-stale": (DESK, "light", 3600),
}


def take(lab: Lab) -> None:
    """Of the page as the host's monitor wrote it last."""
    client = PublicClient("api.hey-watch.me", lab.dns, lab.path("ca.pem"))
    status, _, page = client.ask("GET", "/status/")
    assert status == 200, f"/status/ answered {status}"
    file = lab.path("page.html")
    file.write_bytes(page)
    with step("taking pictures"), sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=tools.ensure_browser(), args=["--no-sandbox"])
        for name, view in VIEWS.items():
            _picture(browser.new_page, file, PLACE / f"{name}.png", *view)
        browser.close()
    file.unlink()


def _picture(new_page, page: Path, target: Path, window: dict, scheme: str, age: int) -> None:
    shown = new_page(viewport=window, color_scheme=scheme)
    shown.clock.install(time=time.time() + age)
    shown.goto(page.as_uri())
    shown.screenshot(path=str(target))


if __name__ == "__main__":
    take(default_lab())
