"""What Caddy takes in beside a release's sites: each was asked of Caddy 2.6.2."""

import pytest

from agent import drift
from agent.monitor.conditions import firing
from agent.monitor.look import HostFacts
from agent.proxies import caddy
from agent.store import current
from tests.agent.fake import FakeWorld
from tests.agent.native import release, serving
from tests.agent.releases import applied

NAME, SITES = "example.com", "/etc/caddy/sites"
OURS, OTHER = f"{SITES}/{NAME}.caddy", f"{SITES}/0.caddy"
OWNED = (0o644, "root", "root")
SAME = f"also has the public name {NAME}: Caddy uses only one of the two sites, or rejects the configuration"
HAS = {
    "the same": f"{NAME} {{\n\trespond a\n}}\n",
    "capitals": f"{NAME.upper()} {{\n\trespond a\n}}\n",
    "a path": f"{NAME}/api/* {{\n\trespond a\n}}\n",
    "a scheme and a port": f"https://{NAME}:443 {{\n\trespond a\n}}\n",
    "plain HTTP": f"http://{NAME}/x {{\n\trespond a\n}}\n",
    "one of several": f"b.example.com,\n{NAME} {{\n\trespond a\n}}\n",
    "quoted": f'b.example.com "{NAME}" {{\n\trespond a\n}}\n',
    "after another site": f"# a {{\nb.example.com {{\n\thandle {{\n\t\trespond `}}`\n\t}}\n}}\n{NAME} {{\n}}\n",
}
HAS_NOT = {
    "another name": "www.example.com {\n\trespond a\n}\n",
    "what is below it": f"*.{NAME} {{\n\trespond a\n}}\n",
    "another port": f"{NAME}:8443 {{\n\trespond a\n}}\n",
    "every name": ":443 {\n\trespond a\n}\nhttp:// {\n}\n",
    "a comment": f"# {NAME} {{\n",
    "in a block": f"b.example.com {{\n\treverse_proxy {NAME}\n\t{NAME} {{\n\t}}\n}}\n",
    "a snippet": f"(x) {{\n\theader Host {NAME}\n}}\n",
    "an import that is not there": "import ../none/*.caddy\nimport */*/*.caddy\nimport\n",
    "no text": "\x00\ufffd{ } } {",
}  # fmt: skip


def world(text: str) -> FakeWorld:
    made = FakeWorld()
    made.files[OURS] = (f"{NAME} {{\n}}\n".encode(), *OWNED)
    made.files[OTHER] = (text.encode(), *OWNED)
    return made


@pytest.mark.parametrize("text", HAS.values(), ids=HAS)
def test_second_caddy_site_of_a_public_name_is_reported(text):
    assert caddy.others(world(text), [NAME], {OURS}) == [(OTHER, SAME)]


@pytest.mark.parametrize("text", HAS_NOT.values(), ids=HAS_NOT)
def test_other_caddy_configuration_is_not_reported(text):
    assert caddy.others(world(text), [NAME], {OURS}) == []


def test_imports_of_caddy_files_are_followed():
    made = world("import ../more/*.conf\nimport 0.caddy")
    made.files["/etc/caddy/more/x.conf"] = (f"import /srv/*/site\n{NAME} {{\n}}".encode(), *OWNED)
    made.files["/srv/a/site"] = (f"{NAME}/a {{\n}}".encode(), *OWNED)
    made.files["/srv/a/other"] = (f"{NAME}/b {{\n}}".encode(), *OWNED)
    assert caddy.others(made, [NAME], {OURS}) == [("/etc/caddy/more/x.conf", SAME), ("/srv/a/site", SAME)]


def by_caddy(config):
    config["infra:hosts"]["services"]["proxy"] = "caddy"


def larger(data):
    data["services"][0]["memory"].update(limit="301m")


def test_second_site_is_refused_and_reported_by_drift_and_monitor():
    made = serving(release("services", "recall", config=by_caddy))
    facts = current(made)
    assert facts
    made.files[OTHER] = (f"{facts.manifest['names'][0].upper()} {{\n}}\n".encode(), *OWNED)
    assert OTHER in [entry["path"] for entry in drift.drift(made)]
    assert OTHER in [entry.subject for entry in firing(HostFacts(made, facts)) if entry.alert == "release-overridden"]
    before = made.seen_by_programs()
    outcome = applied(made, release("services", "recall", larger, config=by_caddy))
    assert outcome.outcome == "refused" and f"nothing touched: {OTHER} also has the public name" in outcome.line
    assert made.seen_by_programs() == before
