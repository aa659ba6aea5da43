"""Changes, as a user makes them: what a preview names, what restarts, and what bad input leaves behind."""

import json
import re
import socket
import ssl

import pytest

from lab.images import build_programs
from lab.machine import BARE_IMAGE
from lab.registry import push_stub, tags
from lab.run import run
from lab.stubs import stubs
from lab.table import address_of
from rendering.host import needs
from tests.rows import rows
from tests.support import ROOT, WATCHME, whole
from tests.system.conftest import STATE, System
from tests.system.on import wait_until_well

pytestmark = pytest.mark.lab
YAML = "files/systems/watchme.yaml"
ACTIVE = [entry for entry in WATCHME["services"] if not entry.get("retired")]
HOST = "watchme-ap-northeast-1"


def started(system: System) -> dict[str, str]:
    """When each container was started."""
    names = [entry["container"] for entry in ACTIVE]
    times = system.on_host("docker", "inspect", "-f", "{{.State.StartedAt}}", *names).output.split()
    return dict(zip(names, times, strict=True))


def outcome(system: System) -> dict:
    """The structured result of the last apply, as Pulumi keeps it."""
    resources = json.loads(system.lab.path(STATE).read_text())["checkpoint"]["latest"]["resources"]
    (apply,) = [resource for resource in resources if resource["urn"].endswith(f"::{HOST}-release-apply")]
    return json.loads(apply["outputs"]["stdout"])


def test_nothing_to_do_opens_no_connection(system):
    system.must_up()
    before = system.logins()
    assert re.search(r"Resources:\s+\d+ unchanged\s", system.must_up())
    assert system.logins() == before


def test_a_preview_changes_nothing_and_opens_no_connection(watchme):
    watchme.edit(YAML, "max_body: 10M", "max_body: 12M")
    before, state = watchme.logins(), watchme.lab.path(STATE).read_text()
    ran = watchme.pulumi("preview", "--diff")
    assert ran.code == 0
    changed = re.findall(r"~ (/\S+?) *:", ran.output)
    assert changed == ["/etc/nginx/sites-available/api.hey-watch.me"]
    assert watchme.logins() == before and watchme.lab.path(STATE).read_text() == state


# Other than the rest, this one and `missing_image` leave their edits to the next test that restores what it found
def test_changed_limit_restarts_only_its_service(system):
    watchme = system
    before = started(watchme)
    watchme.edit(YAML, "max_body: 10M}]\n    memory: {limit: 200m}", "max_body: 10M}]\n    memory: {limit: 210m}")
    logins = watchme.logins()
    watchme.must_up()
    assert watchme.logins() == logins + 1
    after = started(watchme)
    assert {name for name in after if after[name] != before[name]} == {"watchme-avatar-uploader"}
    assert set(json.loads(watchme.output("releases"))["watchme"]) == {"id"}
    assert outcome(watchme)["changed"] == ["/home/ubuntu/watchme-avatar-uploader/docker-compose.prod.yml"]


@pytest.mark.nightly
def test_a_service_that_leaves_the_catalogue_leaves_the_host(watchme):
    text = (watchme.project / YAML).read_text()
    start, end = text.index("  - name: admin\n"), text.index("  - name: web\n")
    watchme.edit(YAML, text[start:end], "")
    watchme.must_up()
    assert watchme.on_host("systemctl", "is-active", "watchme-admin.service").output == "inactive"
    assert watchme.on_host("test", "-e", "/etc/systemd/system/watchme-admin.service").code == 1
    assert "watchme-admin" not in watchme.on_host("docker", "ps", "--format", "{{.Names}}").output.split()
    # Its repository went with its images: who takes it back pushes them again
    assert tags(watchme.lab, "ap-northeast-1", "watchme-admin") == {}
    push_stub(watchme.lab, "ap-northeast-1", "watchme-admin", stubs()["watchme-admin"], build_programs())


SECRET = "correct-horse-battery-staple"


def planted(system: System) -> list[str]:
    """Where the secret can be found: Pulumi's state and configuration, the host's files, logs and process list."""
    found = []
    for path in system.lab.directory.rglob("*"):
        ours = path.is_relative_to(system.project)
        if path.is_file() and not path.is_symlink() and not ours and SECRET.encode() in path.read_bytes():
            found.append(str(path.relative_to(system.lab.directory)))
    grep = f"grep -rlsF {SECRET} /etc /home /root /opt /srv /tmp /run /var/lib/infra /var/lib/cloud /var/log"
    # A container's environment is the runtime's to keep, for root alone
    found += [
        path for path in system.on_host("sh", "-c", f"{grep}; true").output.split() if "/run/containerd/" not in path
    ]
    logs = system.on_host("journalctl", "--no-pager", "-o", "cat").output + system.on_host("ps", "axww").output
    # What we run to search is in the list of processes, and in no log
    found += [line for line in logs.splitlines() if SECRET in line and "grep" not in line]
    return found


@pytest.mark.nightly
def test_a_secret_is_only_in_its_environment_file(watchme):
    watchme.edit(
        YAML, "    unit: watchme-vault-api.service", "    unit: watchme-vault-api.service\n    secrets: [STORAGE_KEY]"
    )
    refused = watchme.up()
    assert refused.code != 0
    assert (
        "service vault-api: secret STORAGE_KEY is missing; set it: infra secret set vault-api.STORAGE_KEY --stack lab"
        in refused.output
    )
    with watchme.configured():
        ran = watchme.command("infra", "secret", "set", "vault-api.STORAGE_KEY", "--stack", "lab", stdin=f"{SECRET}\n")
        assert ran.code == 0 and SECRET not in ran.output, ran.output
        listed = watchme.command("infra", "secret", "list", "--stack", "lab").output
        assert re.search(r"vault-api\.STORAGE_KEY +set +vault-api\n", listed), listed
        output = watchme.must_up()
        assert SECRET not in output
        path = "/home/ubuntu/watchme-vault-api-docker/vault-api.env"
        release = json.loads(watchme.output("releases"))["watchme"]["id"]
        # Where it is read, and where a rollback would take it from
        assert planted(watchme) == [path, f"/var/lib/infra/releases/{release}/files{path}"]
        for place in planted(watchme):
            assert watchme.on_host("stat", "-c", "%a %U", place).output == "600 root"
        assert watchme.on_host("stat", "-c", "%a %U", "/var/lib/infra").output == "700 root"
        given = watchme.on_host("docker", "inspect", "-f", "{{json .Config.Env}}", "watchme-vault-api").output
        assert f"STORAGE_KEY={SECRET}" in json.loads(given)
        assert SECRET not in watchme.pulumi("preview", "--diff").output
        assert SECRET not in watchme.pulumi("stack", "output", "--json").output
        # The search would have found it
        leak = watchme.lab.path("leak")
        leak.write_text(SECRET)
        watchme.on_host("sh", "-c", f"echo {SECRET} > /var/log/leak")
        assert {"leak", "/var/log/leak"} <= set(planted(watchme))
        leak.unlink()
        watchme.on_host("rm", "/var/log/leak")


@pytest.mark.nightly
def test_missing_image_is_reported_and_nothing_is_touched(system):
    watchme = system
    before = started(watchme)
    watchme.edit(YAML, "{repository: watchme-api-ast, tag: latest}", "{repository: watchme-api-ast, tag: '2'}")
    ran = watchme.up()
    image = "754724220380.dkr.ecr.ap-northeast-1.amazonaws.com/watchme-api-ast:2"
    assert ran.code != 0 and f"Push them or correct the tag, and run again: docker push {image}" in ran.output
    assert "refused on watchme, nothing touched" in ran.output
    assert started(watchme) == before
    push_stub(watchme.lab, "ap-northeast-1", "watchme-api-ast:2", stubs()["watchme-api-ast"], build_programs())
    watchme.must_up()
    digest = tags(watchme.lab, "ap-northeast-1", "watchme-api-ast")["2"]
    running = watchme.on_host("docker", "inspect", "-f", "{{.Config.Image}}", "ast-api").output
    assert running == f"{image.removesuffix(':2')}@{digest}"
    wait_until_well(watchme, 30)


@pytest.mark.nightly
def test_missing_docker_is_reported_and_the_update_completes_after_the_fix(watchme):
    watchme.edit(YAML, "max_body: 10M", "max_body: 13M")
    watchme.on_host("mv", "/usr/bin/docker", "/usr/bin/docker.away")
    try:
        ran = watchme.up()
        assert ran.code != 0 and "not installed: docker. Install them on the host and run again" in ran.output
    finally:
        watchme.on_host("mv", "/usr/bin/docker.away", "/usr/bin/docker")
    watchme.must_up()
    assert "client_max_body_size 13M;" in watchme.on_host("cat", "/etc/nginx/sites-available/api.hey-watch.me").output


@pytest.mark.nightly
def test_unreachable_host_fails_the_update(watchme):
    """The ready gate gives up after `readyTimeout`, and the same command goes on once the host is there."""
    ready = f"urn:pulumi:lab::infra::infra:index:Host$command:local:Command::{HOST}-ready"
    run("docker", "stop", "-t", "30", watchme.container)
    try:
        with watchme.configured(readyTimeout="10"):
            ran = watchme.pulumi("up", "--yes", "--skip-preview", "--replace", ready)
        # Before a stopped machine the lab's forwarder refuses, or takes the connection and closes it
        why = r"( does not answer: |: .*; if the host is starting, try again in a moment| accepts connections, but did not finish the SSH handshake)"
        wanted = rf"is not ready for a release after 10 s: watchme \(\S+@127\.\d+\.0\.\d+:22\){why}"
        assert ran.code != 0 and re.search(wanted, ran.output), ran.output[-3000:]
    finally:
        run("docker", "start", watchme.container)
    wait_until_well(watchme, 120)
    watchme.must_up()


@pytest.mark.nightly
def test_a_new_machine_gets_the_same_release(watchme):
    """The instance is lost: one `pulumi up` brings another, with the same key, certificate and files."""
    old = watchme.container
    instance = f"urn:pulumi:lab::infra::infra:index:Host$aws:ec2/instance:Instance::{HOST}-instance"
    ran = watchme.pulumi("up", "--yes", "--skip-preview", "--replace", instance)
    assert ran.code == 0, ran.output
    assert watchme.container != old
    wait_until_well(watchme, 60)


@pytest.mark.nightly
def test_env_file_configures_a_plain_shell(system):
    script = f". {system.lab.path('env')} && pulumi stack output region && pulumi preview --non-interactive && env"
    env = {"PATH": "/usr/bin:/bin", "HOME": "/root"}
    output = run("env", "-i", *[f"{k}={v}" for k, v in env.items()], "sh", "-c", script, cwd=system.project)
    assert output.startswith("ap-northeast-1\n") and "unchanged" in output
    cloud = f"127.{system.lab.number}.255.1"
    for name in ("LAB_CA=", f"LAB_DNS={cloud}:5353", f"AWS_ENDPOINT_URL=http://{cloud}:5000"):
        assert name in output


@pytest.mark.nightly
def test_service_is_added_with_one_block_of_yaml(watchme):
    facts = {"port": 8020, "health": "/health", "prefix": "/"}
    push_stub(watchme.lab, "ap-northeast-1", "watchme-api-echo", facts, build_programs())
    block = """services:
  - name: echo
    kind: compose
    purpose: A fourteenth service
    role: api
    image: {repository: watchme-api-echo}
    container: echo
    port: 8020
    address: 172.27.0.20
    routes: [{public: /echo/}]
    memory: {limit: 100m}
    directory: /home/ubuntu/echo
    unit: watchme-echo.service
"""
    watchme.edit(YAML, "services:\n", block)
    before = started(watchme)
    watchme.must_up()
    status, _, body = watchme.ask("GET", "/echo/a/b")
    assert (status, json.loads(body)["service"]) == (200, "watchme-api-echo")
    assert started(watchme) == before
    assert "watchme-api-echo" in json.loads(watchme.pulumi("stack", "output", "--json").output)["repositories"]


def serial(system: System) -> str:
    script = "openssl x509 -noout -serial -in /etc/letsencrypt/live/api.hey-watch.me/fullchain.pem"
    return system.on_host("sh", "-c", script).output


@pytest.mark.nightly
def test_a_renewed_certificate_is_served(watchme):
    before = serial(watchme)
    ran = watchme.on_host("certbot", "renew", "--force-renewal", "--no-random-sleep-on-renew")
    assert ran.code == 0, ran.output
    assert serial(watchme) != before
    address = watchme.output("addresses")
    with socket.create_connection((json.loads(address)["watchme"], 443), 5) as plain:
        context = ssl.create_default_context(cafile=str(watchme.lab.path("ca.pem")))
        with context.wrap_socket(plain, server_hostname="api.hey-watch.me") as secure:
            served = secure.getpeercert()["serialNumber"]
    assert int(served, 16) == int(serial(watchme).removeprefix("serial="), 16)
    assert watchme.on_host("systemctl", "is-enabled", "certbot.timer").output == "enabled"


DAMAGE = {
    "an empty renewal file": ": > /etc/letsencrypt/renewal/api.hey-watch.me.conf",
    "no renewal file": "rm /etc/letsencrypt/renewal/api.hey-watch.me.conf",
    "plain files": "cd /etc/letsencrypt/live/api.hey-watch.me; for f in *.pem; do cp --remove-destination $(readlink -f $f) $f; done",
}


@pytest.mark.parametrize("kind", rows(DAMAGE, always=[]))
def test_damaged_lineage_is_reported_and_keeps_serving(watchme, kind):
    """certbot itself would make an api.hey-watch.me-0001 with each release."""
    before = serial(watchme)
    assert watchme.on_host("sh", "-c", f"cp -a /etc/letsencrypt /run/kept; {DAMAGE[kind]}").code == 0
    try:
        watchme.edit(YAML, "max_body: 10M", "max_body: 12M")
        said = watchme.must_up()
        assert "warning: the certificate of api.hey-watch.me is in use, but certbot cannot renew it: " in said, said
        assert serial(watchme) == before
        shown = watchme.command("infra", "status", "--stack", "lab", "--host", "watchme").output
        assert "certbot cannot renew the certificate of api.hey-watch.me: /etc/letsencrypt/" in shown, shown
        # Its time is nearly over: a test cannot wait for that, and an untrusted one is no use either
        path = "/etc/letsencrypt/live/api.hey-watch.me/privkey.pem"
        assert watchme.on_host("sh", "-c", f"openssl genpkey -algorithm ed25519 > $(readlink -f {path})").code == 0
        watchme.restore(YAML)
        said = watchme.must_up()
        assert "set aside as /etc/letsencrypt/" in said and "obtained the certificate of api.hey-watch.me" in said, said
        assert serial(watchme) != before
        assert "-0001" not in watchme.on_host("find", "/etc/letsencrypt").output
        ran = watchme.on_host("certbot", "renew", "--force-renewal", "--no-random-sleep-on-renew")
        assert ran.code == 0, ran.output
    finally:
        watchme.on_host("sh", "-c", "rm -rf /run/kept")


@pytest.mark.nightly
def test_a_bare_debian_is_prepared_by_the_script_alone(system):
    """What user data does on a machine image that has nothing; Ubuntu's packages cannot be had here."""
    script = (ROOT / "files/static/prepare-host.sh").read_text()
    check = (
        "\nfor c in docker docker-compose nginx certbot python3 docker-credential-ecr-login; do command -v $c || "
        "exit 9; done"
    )
    again = "\ninstall_missing && echo second run installed nothing"
    output = run(
        "docker",
        "run",
        "--rm",
        "--network",
        "host",
        BARE_IMAGE,
        "sh",
        "-c",
        script + check + again,
        "prepare-host",
        "2048",
        *needs(whole(), "watchme"),
    )
    assert output.endswith("second run installed nothing\n")


def test_destroy_leaves_nothing(system):
    """The last test of the session: nothing is there to be asked afterwards."""
    ran = system.pulumi("destroy", "--yes", "--skip-preview")
    assert ran.code == 0, ran.output
    assert json.loads(system.lab.path(STATE).read_text())["checkpoint"]["latest"].get("resources", []) == []
    # The owners' own machine is not to be destroyed
    label = f"label=watchme-infra.lab={system.lab.name}"
    names = run("docker", "ps", "-a", "--format", "{{.Names}}", "--filter", label).split()
    assert names == [f"wml-{system.lab.name}-home"]
    with pytest.raises(LookupError):
        address_of("api.hey-watch.me", system.lab.dns)
