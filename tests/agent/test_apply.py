"""The way to a new release, on a host in memory."""

import json
import re
from dataclasses import replace

import pytest

from agent import jobs, registry, store
from agent.outcome import Failed, Mask
from agent.world import CommandResult
from rendering.archive import build
from rendering.host import render
from tests.agent.releases import (
    AVATAR,
    AVATAR_UNIT,
    JOB,
    SITE,
    applied,
    bigger,
    images,
    longer,
    release,
    serving,
    with_echo,
    world_for,
)
from tests.support import catalogue, digests, service


@pytest.fixture
def served():
    """A host that serves the first release."""
    return serving(release())


def test_first_apply_brings_everything():
    made = release()
    world = world_for(made)
    outcome = applied(world, made)
    assert (outcome.outcome, outcome.code) == ("applied", 0), outcome.line
    assert len(outcome.changed) == len(made.manifest["files"]) + len(made.manifest["links"])
    # Nginx runs already, and reloads
    assert {*outcome.restarted, "nginx.service"} == {unit["name"] for unit in made.manifest["units"]} <= world.active
    assert world.enabled == world.active
    assert outcome.services["scheduler"] == 200 and len(outcome.services) == 13
    assert store.current_id(world) == made.id
    assert "/var/lib/infra/transaction.json" not in world.files


def test_second_apply_is_unchanged(served):
    outcome = applied(served, release())
    assert (outcome.outcome, outcome.changed, outcome.restarted) == ("unchanged", [], [])
    assert not served.commands("systemctl restart") and not served.commands("systemctl reload")


def test_unchanged_release_fails_when_it_is_unhealthy(served):
    served.web = lambda url: 500 if ":8015" in url else 200
    outcome = applied(served, release())
    assert outcome.outcome == "refused" and "unchanged, but unhealthy: scheduler" in outcome.line


def test_only_what_changed_restarts(served):
    outcome = applied(served, release(bigger))
    assert outcome.changed == [AVATAR]
    assert outcome.restarted == [AVATAR_UNIT]
    assert not served.commands("systemctl try-reload-or-restart nginx")


def test_a_route_only_reloads_nginx(served):
    outcome = applied(served, release(longer))
    assert (outcome.changed, outcome.restarted) == ([SITE], [])
    assert served.commands("systemctl try-reload-or-restart nginx")


def test_a_new_image_under_the_same_tag_is_another_release(served):
    before = release()
    after = release(version=2)
    assert before.id != after.id and len(applied(served, after).restarted) == 13
    assert images(after) <= served.images


def test_present_images_are_not_pulled_again(served):
    applied(served, release(bigger))
    assert not served.commands("docker --config")


def test_a_stopped_unit_starts_again(served):
    served.active.discard("watchme-admin.service")
    assert applied(served, release()).restarted == ["watchme-admin.service"]


def test_service_that_left_the_release_is_removed_from_the_host(served):
    def without_admin(data):
        data["services"] = [entry for entry in data["services"] if entry["name"] != "admin"]

    outcome = applied(served, release(without_admin))
    assert "/etc/systemd/system/watchme-admin.service" not in served.files
    assert "watchme-admin.service" not in served.active | served.enabled
    assert "/home/ubuntu/watchme-admin/docker-compose.prod.yml" in outcome.changed
    stop = served.ran.index("systemctl stop watchme-admin.service")
    assert stop < served.ran.index("systemctl daemon-reload")


def test_unit_is_stopped_with_the_files_that_started_it(served):
    applied(served, release(lambda data: service(data, "ast-api").update(directory="/srv/ast")))
    stop, restart = served.ran.index("systemctl stop watchme-ast-api.service"), served.commands("systemctl restart")[0]
    assert stop < served.ran.index("systemctl daemon-reload") < served.ran.index(restart)
    assert "/home/ubuntu/api_ast/docker-compose.prod.yml" not in served.files


def test_a_wrong_mode_is_put_right(served):
    content, _, owner, group = served.files[SITE]
    served.files[SITE] = (content, 0o666, owner, group)
    assert applied(served, release()).changed == [SITE]
    assert served.files[SITE][1] == 0o644


def missing(world):
    image = next(i for i in world.registry if "api-ast" in i)
    world.answers[f"docker --config /run/infra/docker pull -q {image}"] = CommandResult(1, "manifest unknown")


REFUSALS = {
    "missing image": (missing, "docker push 754724220380.dkr.ecr.ap-northeast-1.amazonaws.com/watchme-api-ast"),
    "no docker": (lambda w: w.installed.discard("docker"), "not installed: docker. Install them on the host and run again"),
    "docker down": (lambda w: w.answers.update({"docker info": CommandResult(1, "Cannot connect")}), "Docker does not answer: Cannot connect"),
    "no certificate": (lambda w: w.answers.update({"certbot": CommandResult(1, "no such zone")}), "no certificate for api.hey-watch.me"),
    "nginx": (lambda w: w.answers.update({"unshare": CommandResult(1, "unknown directive")}), "nginx -t: unknown directive"),
    "units": (lambda w: w.answers.update({"systemd-analyze": CommandResult(1, "bad unit")}), "systemd-analyze verify: bad unit"),
    "compose": (lambda w: w.answers.update({"/usr/bin/docker-compose -f": CommandResult(1, "bad file")}), "docker-compose config /home"),
    "port": (lambda w: w.listening.update({8017: 'users:(("python3",pid=7,fd=3))'}), 'port 8017 of ast-api is taken on the host (users:(("python3",pid=7,fd=3)))'),
    "disk": (lambda w: setattr(w, "space", 100), "no space left on device: 0 MiB are free under /var/lib/docker, this release needs about 272 MiB. `infra prune` frees up to 0 MiB"),
    "memory": (lambda w: setattr(w, "memory", lambda: {"MemTotal": 1024**3}), "MiB, but this machine has 1024 MiB: lower them, or move a service"),
}  # fmt: skip


@pytest.mark.parametrize(("breakage", "line"), REFUSALS.values(), ids=REFUSALS)
def test_refused_before_anything_is_touched(breakage, line):
    made = release()
    world = world_for(made)
    breakage(world)
    before = world.seen_by_programs()
    outcome = applied(world, made)
    assert (outcome.outcome, outcome.code) == ("refused", 3)
    assert line in outcome.line and "nothing touched" in outcome.line
    assert world.seen_by_programs() == before


def test_disk_space_for_images_is_computed_from_the_registry(monkeypatch):
    # The digests of a test's releases are made up
    monkeypatch.setattr(registry, "is_of", lambda body, digest: True)
    made = release()
    world = world_for(made)
    big = json.dumps({"layers": [{"size": 2 * 1024**3}]}).encode()
    world.fetch = lambda url, headers: (200, big)
    world.answers["docker-credential-ecr-login get"] = CommandResult(0, '{"Username": "AWS", "Secret": "token"}')
    line = applied(world, made).line
    assert "10240 MiB are free under /var/lib/docker, this release needs about 80" in line


def test_every_missing_image_is_named():
    made = release()
    world = world_for(made)
    world.answers["docker --config /run/infra/docker pull"] = CommandResult(1, "manifest unknown")
    assert applied(world, made).line.count("docker push") == 13


def test_an_image_without_a_digest_is_not_in_the_registry():
    from rendering.archive import build
    from rendering.host import render
    from tests.support import catalogue

    made = build(render(catalogue(), "watchme"))
    line = applied(world_for(made), made).line
    assert "docker push 754724220380.dkr.ecr.ap-northeast-1.amazonaws.com/watchme-api-ast:latest" in line


def test_a_registry_that_refuses_is_no_missing_image():
    made = release()
    world = world_for(made)
    world.answers["docker --config /run/infra/docker pull"] = CommandResult(1, "no basic auth credentials")
    line = applied(world, made).line
    assert "13 images cannot be pulled" in line and "no basic auth credentials" in line and "docker push" not in line


def test_an_update_planned_from_another_release_is_refused(served):
    first, second, third = release(), release(bigger), release(longer)
    bob = jobs.with_history(served, replace(JOB, who="bob@desk"), 0.0, Mask([]))
    assert applied(served, second, job=replace(bob, base=first.id)).outcome == "applied"
    outcome = applied(served, third, job=replace(JOB, base=first.id))
    said = f"planned from release {first.id[:12]}, but release {second.id[:12]} by bob@desk serves here"
    assert outcome.outcome == "refused" and said in outcome.line
    # The same release, the right base, and an update that knows no base are no conflict
    assert applied(served, second, job=replace(JOB, base=first.id)).outcome == "unchanged"
    assert applied(served, third, job=replace(JOB, base=second.id)).outcome == "applied"
    assert applied(served, second).outcome == "applied"


def test_a_missing_secret_is_named():
    made = release(lambda data: service(data, "web").update(secrets=["TOKEN"]))
    outcome = applied(world_for(made), made)
    assert outcome.outcome == "refused" and "secret TOKEN of web is not set" in outcome.line


def test_secrets_are_written_for_root_alone():
    made = release(lambda data: service(data, "web").update(environment={"A": "1"}, secrets=["TOKEN"]))
    world = world_for(made)
    outcome = applied(world, made, {"web": {"TOKEN": "p $x"}})
    path = "/home/ubuntu/watchme-docker/web.env"
    assert world.files[path] == (b"A=1\nTOKEN='p $x'\n", 0o600, "root", "root")
    assert "p $x" not in outcome.to_json() and not any("p $x" in command for command in world.ran)


def test_changed_secret_makes_another_release():
    def of(value):
        return release(
            lambda data: service(data, "web").update(secrets=["TOKEN"]),
            lambda config: config.update({"infra:secrets": {"web": {"TOKEN": value}}, "infra:sshPrivateKey": "key"}),
        )

    assert of("old").id != of("new").id and of("old").id == of("old").id
    assert "old" not in json.dumps(of("old").manifest["environment_files"])


def test_a_damaged_archive_is_refused():
    made = release()
    outcome = applied(world_for(made), made, **{f"files{SITE}": b"damaged"})
    assert outcome.outcome == "refused" and f"{SITE} was damaged in transfer" in outcome.line


def test_release_with_a_changed_manifest_is_refused():
    made = release()
    assert applied(world_for(made), made, **{"manifest.json": b"{}"}).outcome == "refused"


def test_certificates_are_asked_for_once_and_before_the_switch():
    made = release()
    world = world_for(made)
    applied(world, made)
    (command,) = world.commands("certbot")
    assert "--dns-route53" in command and "--server https://acme-v02.api.letsencrypt.org/directory" in command
    applied(world, made)
    assert not world.commands("certbot")


def test_certificate_of_another_authority_is_replaced(served):
    staging = release(config=lambda config: config.update({"infra:acmeDirectory": "https://staging.example/dir"}))
    assert applied(served, staging).outcome == "applied"
    assert len(served.commands("certbot")) == 1
    assert applied(served, release()).outcome == "applied"
    assert len(served.commands("certbot")) == 1


def test_untouched_unhealthy_service_does_not_fail_the_release(served):
    served.web = lambda url: 500 if ":8015" in url else 200
    outcome = applied(served, release(bigger))
    assert outcome.outcome == "applied" and "scheduler was unhealthy before and still is" in outcome.line
    assert "scheduler" not in outcome.services


def test_confirmation_comes_after_health_and_before_the_commit(served):
    after = release(bigger)

    def confirm(urls):
        assert served.commands(f"systemctl restart {AVATAR_UNIT}") and store.current_id(served) == release().id

    assert applied(served, after, job=replace(JOB, confirm=confirm)).outcome == "applied"
    assert store.current_id(served) == after.id


def test_release_is_rolled_back_without_a_confirmation(served):
    def confirm(urls):
        raise Failed("not confirmed from outside within 60 s")

    outcome = applied(served, release(with_echo), job=replace(JOB, confirm=confirm))
    assert outcome.outcome == "rolled back" and "not confirmed from outside within 60 s" in outcome.line


def test_a_port_of_the_services_own_container_is_not_taken():
    """A person, or another unit, has started the very container: a host that is taken over."""
    made = release()
    world = world_for(made)
    world.listening[8017] = 'users:(("docker-proxy",pid=7,fd=3))'
    world.answers["docker ps --filter publish=8017"] = CommandResult(0, "ast-api")
    assert applied(world, made).outcome == "applied"
    other = world_for(made)
    other.listening[8017] = world.listening[8017]
    other.answers["docker ps --filter publish=8017"] = CommandResult(0, "somebodys")
    assert "port 8017 of ast-api is taken" in applied(other, made).line


@pytest.mark.parametrize(("at", "outcome"), [("10.20.1.77", "applied"), ("10.20.1.78", "refused")])
def test_a_port_of_a_service_that_other_hosts_call_is_free_at_127_0_0_1(at, outcome):
    """Another service's port in its container is the same number as this one's on the host."""
    made = build(replace(render(catalogue(), "watchme", digests()), private=["10.20.1.77:8017"]))
    world = world_for(made)
    line = f'LISTEN 0 4096 {at}:8017 0.0.0.0:* users:(("docker-proxy",pid=7,fd=3))'
    world.answers["ss -Hltnp sport = :8017"] = CommandResult(0, line)
    assert applied(world, made).outcome == outcome


def test_waiting_services_are_reported_during_the_health_check():
    world, said = serving(release()), []
    world.web = lambda url: 404
    outcome = applied(world, release(bigger), job=replace(JOB, say=said.append))
    assert outcome.outcome == "rolled back"
    reminders = [line for line in said if line.startswith("still unhealthy, ")]
    assert reminders and re.fullmatch(r"still unhealthy, 1\d\d s left: .*\(404\)", reminders[0])
    assert len(reminders) < 8, "every half minute at most"
