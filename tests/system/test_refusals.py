"""Bad input, as a user makes it: refused in words, and nothing is touched."""

import json

import pytest

from tests.rows import rows
from tests.system import faults
from tests.system.conftest import STATE
from tests.system.faults import inventory, push, serving
from tests.system.on import wait_until_well

pytestmark = pytest.mark.lab
YAML = "files/systems/watchme.yaml"


def test_broken_edit_of_the_program_changes_nothing(watchme):
    before = watchme.lab.path(STATE).read_text()
    watchme.edit(YAML, "    port: 8018", "    port: 8017")
    watchme.edit(YAML, "    container: superb-api", "    container: superb-api\n    contaner: superb-api")
    ran = watchme.up()
    assert ran.code != 0 and "Traceback" not in ran.output
    assert "service superb-api: contaner: unknown field 'contaner'; did you mean 'container'" in ran.output
    watchme.edit(YAML, "\n    contaner: superb-api", "")
    ran = watchme.up()
    assert "service superb-api: port 8017 is already used by ast-api" in ran.output and "Traceback" not in ran.output
    resources = [
        json.loads(text)["checkpoint"]["latest"]["resources"] for text in (before, watchme.lab.path(STATE).read_text())
    ]
    assert len(resources[0]) == len(resources[1])
    wait_until_well(watchme, 10)


IN_THE_PLACE = {
    "a site": ("/etc/nginx/conf.d/legacy.conf", "server { listen 443 ssl; server_name api.hey-watch.me; ssl_certificate $c; }", "has the public name api.hey-watch.me"),
    "a drop-in": ("/etc/systemd/system/watchme-avatar-uploader.service.d/x.conf", "[Service]\nRestartSec=1", "sets RestartSec of watchme-avatar-uploader.service"),
}  # fmt: skip


@pytest.mark.parametrize("kind", rows(IN_THE_PLACE, always=[]))
def test_configuration_that_overrides_the_release_is_reported(watchme, kind):
    path, text, what = IN_THE_PLACE[kind]
    before = serving(watchme)
    push(watchme)
    # It has to be valid, or Nginx itself complains of it
    text = text.replace(
        "$c",
        "/etc/letsencrypt/live/api.hey-watch.me/fullchain.pem; ssl_certificate_key "
        "/etc/letsencrypt/live/api.hey-watch.me/privkey.pem",
    )
    assert watchme.on_host("sh", "-c", f"mkdir -p {path.rsplit('/', 1)[0]}; printf '{text}\n' > {path}").code == 0
    try:
        ran = watchme.up()
        assert f"refused on watchme, nothing touched: {path} {what}" in ran.output
        assert "the release would not take effect" in ran.output
        shown = watchme.command("infra", "drift", "--stack", "lab", "--host", "watchme").output
        assert path in shown and serving(watchme) == before
    finally:
        watchme.on_host("sh", "-c", f"rm {path}; rmdir --ignore-fail-on-non-empty {path.rsplit('/', 1)[0]}")
    watchme.must_up()


@pytest.mark.nightly
def test_unknown_configuration_key(watchme):
    with watchme.configured(adminCidr="10.0.0.0/8"):
        ran = watchme.up()
        assert ran.code != 0 and "Traceback" not in ran.output
        assert "infra:adminCidr: unknown field 'adminCidr'; did you mean 'adminCidrs'?" in ran.output
    watchme.must_up()


NOT_THERE = {
    "image parameter": (
        {"amiParameter": "/nope"},
        "infra:amiParameter /nope: reading SSM Parameter (/nope): Parameter",
    ),
    "account": ({"accountId": "111111111111"}, "AWS account ID not allowed: 754724220380"),
    "zone": (
        {
            "zone": "example.org",
            'names["api.hey-watch.me"]': "api.example.org",
            'names["whisper.hey-watch.me"]': "whisper.example.org",
        },
        "infra:zone example.org: no matching Route 53 Hosted Zone found: example.org; create the zone in Route 53",
    ),
}


@pytest.mark.nightly
@pytest.mark.parametrize(("values", "said"), NOT_THERE.values(), ids=NOT_THERE)
def test_missing_resources_of_the_account_are_reported_first(watchme, values, said):
    before = watchme.logins()
    with watchme.configured(**values):
        ran = watchme.up()
        assert ran.code != 0 and said in ran.output and "Traceback" not in ran.output
    assert watchme.logins() == before
    watchme.must_up()


@pytest.mark.nightly
def test_invalid_site_is_refused_before_the_switch(watchme):
    template = "files/templates/site.conf.j2"
    watchme.edit(template, "ssl_protocols", "ssl_protocolz")
    try:
        ran = watchme.up()
        assert ran.code != 0 and "refused on watchme, nothing touched: nginx -t: " in ran.output
        assert 'unknown directive "ssl_protocolz"' in ran.output
        assert watchme.on_host("nginx", "-t").code == 0
        wait_until_well(watchme, 10)
    finally:
        watchme.restore(template)
    watchme.must_up()


@pytest.mark.nightly
def test_host_with_an_unknown_key_is_refused(watchme):
    watchme.edit(YAML, "max_body: 10M", "max_body: 11M")
    other = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJm0nM2cFv2PY5Q9oJZ2c0m4H0sK9cJj0bT1w2u3v4x5 other"
    before = watchme.logins()
    with watchme.configured(readyTimeout="10", **{"hostPublicKeys.watchme": other}):
        ran = watchme.up()
        assert ran.code != 0 and "is pinned: another machine may have its address" in ran.output
    assert watchme.logins() == before
    watchme.restore(YAML)
    watchme.must_up()


@pytest.mark.nightly
def test_a_firewall_without_dockers_rules_is_named_before_a_container_is_touched(watchme):
    before = serving(watchme)
    push(watchme)
    assert watchme.on_host("sh", "-c", faults.WITHOUT_RULES).code == 0
    whole = inventory(watchme)
    try:
        ran = watchme.up()
        assert "refused on watchme, nothing touched: firewall rules of Docker are missing (nat DOCKER, " in ran.output
        assert serving(watchme) == before and inventory(watchme) == whole
    finally:
        assert watchme.on_host("systemctl", "restart", "docker").code == 0
    wait_until_well(watchme)
    watchme.must_up()
