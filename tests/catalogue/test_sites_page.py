"""docs/sites.md: what it shows is sound, and both proxies are given it."""

import re

import pytest
import yaml

from catalogue.checks import check
from catalogue.serving import Serving
from catalogue.sites import Site, StaticFiles
from rendering.host import render
from tests.serving import described
from tests.support import ROOT

PAGE = (ROOT / "docs/sites.md").read_text()
EXAMPLES = {
    found[0].strip("# \n"): found[1]
    for found in re.findall(r"(\n## [^\n]+\n|\n[A-Z][^\n]+:\n)\n?```yaml\n(.*?)```", PAGE, re.DOTALL)
}
# Said of Nginx alone
OF_NGINX = ("rate:", "connections:", "nginx:")


def files_of(text: str) -> dict[str, str]:
    names = re.findall(r"shop/[a-z0-9]+\.(?:html|conf)", text)
    return dict.fromkeys(names, "return 204;") | {"shop/web/index.html": "x"}


BOTH = {
    f"{name} {proxy}": (text, proxy)
    for name, text in EXAMPLES.items()
    for proxy in ("nginx", "caddy")
    if proxy == "nginx" or not any(word in text for word in OF_NGINX)
}


@pytest.mark.parametrize(("text", "proxy"), BOTH.values(), ids=BOTH)
def test_an_example_is_sound(tmp_path, text, proxy):
    said = yaml.safe_load(text.replace("example.com", "hey-watch.me"))
    whole = {
        "system": "shop",
        "document": "x",
        "sites": said["sites"],
        "services": [service(one) for one in said.get("services", [{"name": "web"}])],
    }
    whole["services"].append(service({"name": "gate"}) | {"port": 8041})
    made = described(tmp_path, proxy, lambda _: yaml.safe_dump(whole), files_of(text))
    # The passwords and certificates that it names are set by infra secret
    faults = [str(problem) for problem in check(made) if problem.level == "error" and "TLS_" not in problem.unset]
    assert faults == []
    names = [file.path for file in render(made, "box").files]
    folder = {"nginx": "/etc/nginx/sites-available/", "caddy": "/etc/caddy/sites/"}[proxy]
    assert len([name for name in names if name.startswith(folder)]) == len(said["sites"])


def service(given):
    rest = {
        "kind": "compose",
        "purpose": "x",
        "image": {"repository": "x"},
        "port": 8040,
        "health": "tcp",
        "memory": {"limit": "64m"},
    }
    return {**rest, **given}


def test_the_page_has_examples_and_every_field():
    assert len(EXAMPLES) == 13
    fields = {*Serving.model_fields, *Site.model_fields, *StaticFiles.model_fields} - {"challenge"}
    assert [field for field in sorted(fields) if f"`{field}`" not in PAGE and f"{field}:" not in PAGE] == []
