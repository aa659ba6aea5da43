"""The agent's apply, on a host in memory."""

import io
import json
import tarfile

import pytest

from agent.apply import CURRENT, PENDING, apply
from agent.world import Ran
from rendering.archive import Release, build
from rendering.host import render
from tests.agent.fake import FakeWorld
from tests.support import Change, catalogue, service, unchanged

AVATAR = "/home/ubuntu/watchme-avatar-uploader/docker-compose.prod.yml"
SITE = "/etc/nginx/sites-available/api.hey-watch.me"


def release(system: Change = unchanged, config: Change = unchanged) -> Release:
    return build(render(catalogue(system, config), "watchme"))


def contents(made: Release) -> dict[str, bytes]:
    with tarfile.open(fileobj=io.BytesIO(made.archive), mode="r:gz") as tar:
        return {entry.name: tar.extractfile(entry).read() for entry in tar}  # type: ignore[union-attr]


def world_for(made: Release) -> FakeWorld:
    images = {image for unit in made.manifest["units"] for image in unit["images"]}
    return FakeWorld(registry={image: f"sha256:{image[-12:]}" for image in images})


def applied(world: FakeWorld, made: Release, secrets=None, **replaced: bytes):
    world.ran.clear()
    return apply(world, made.id, {**contents(made), **replaced}, secrets or {}, lambda line: None)


@pytest.fixture
def served():
    """A host that serves the first release."""
    made = release()
    world = world_for(made)
    assert applied(world, made).outcome == "applied"
    return world


def test_first_apply_brings_everything():
    made = release()
    world = world_for(made)
    outcome = applied(world, made)
    assert (outcome.outcome, outcome.code) == ("applied", 0)
    assert len(outcome.changed) == len(made.manifest["files"]) + 1
    assert set(outcome.restarted) == {unit["name"] for unit in made.manifest["units"]} <= world.active
    assert world.enabled == world.active
    assert outcome.services["scheduler"] == 200 and len(outcome.services) == 13
    assert json.loads(world.read(CURRENT) or b"")["release"] == made.id
    assert PENDING not in world.files


def test_the_same_again_is_unchanged(served):
    outcome = applied(served, release())
    assert (outcome.outcome, outcome.changed, outcome.restarted) == ("unchanged", [], [])
    assert not served.commands("systemctl restart") and not served.commands("systemctl reload")


def test_only_what_changed_restarts(served):
    outcome = applied(served, release(lambda data: service(data, "avatar-uploader")["memory"].update(limit="300m")))
    assert outcome.changed == [AVATAR]
    assert outcome.restarted == ["watchme-avatar-uploader.service"]
    assert not served.commands("systemctl reload-or-restart nginx")


def test_a_route_only_reloads_nginx(served):
    outcome = applied(served, release(lambda data: service(data, "avatar-uploader")["route"].update(max_body="20M")))
    assert (outcome.changed, outcome.restarted) == ([SITE], [])
    assert served.commands("systemctl reload-or-restart nginx")


def test_a_new_image_under_the_same_tag_restarts_its_unit(served):
    image = next(image for image in served.registry if "watchme-web:" in image)
    served.registry[image] = "sha256:new"
    outcome = applied(served, release())
    assert (outcome.changed, outcome.restarted) == ([], ["watchme-web-app.service"])


def test_a_stopped_unit_starts_again(served):
    served.active.discard("watchme-admin.service")
    assert applied(served, release()).restarted == ["watchme-admin.service"]


def test_what_left_the_release_leaves_the_host(served):
    def without_admin(data):
        data["services"] = [entry for entry in data["services"] if entry["name"] != "admin"]

    outcome = applied(served, release(without_admin))
    assert "/etc/systemd/system/watchme-admin.service" not in served.files
    assert "/home/ubuntu/watchme-admin/docker-compose.prod.yml" in outcome.changed
    stop = served.ran.index("systemctl disable --now watchme-admin.service")
    assert stop < served.ran.index("systemctl daemon-reload")


def test_a_hand_edited_file_is_put_right(served):
    served.files[SITE] = (b"edited by hand", 0o644, "root", "root")
    assert applied(served, release()).changed == [SITE]


def test_a_wrong_mode_is_put_right(served):
    content, _, owner, group = served.files[SITE]
    served.files[SITE] = (content, 0o666, owner, group)
    assert applied(served, release()).changed == [SITE]
    assert served.files[SITE][1] == 0o644


REFUSALS = {
    "missing image": (lambda w: w.registry.pop(next(i for i in w.registry if "api-ast" in i)), "docker push 754724220380.dkr.ecr.ap-northeast-1.amazonaws.com/watchme-api-ast:latest"),
    "no docker": (lambda w: w.installed.discard("docker"), "not installed: docker. Install them on the host and run again"),
    "docker down": (lambda w: w.answers.update({"docker info": Ran(1, "Cannot connect")}), "Docker does not answer: Cannot connect"),
    "no certificate": (lambda w: w.answers.update({"certbot": Ran(1, "no such zone")}), "no certificate for api.hey-watch.me"),
    "nginx": (lambda w: w.answers.update({"unshare": Ran(1, "unknown directive")}), "nginx -t: unknown directive"),
    "units": (lambda w: w.answers.update({"systemd-analyze": Ran(1, "bad unit")}), "systemd-analyze verify: bad unit"),
    "compose": (lambda w: w.answers.update({"docker-compose": Ran(1, "bad file")}), "docker-compose config /home"),
}  # fmt: skip


@pytest.mark.parametrize(("breakage", "line"), REFUSALS.values(), ids=REFUSALS)
def test_refused_before_anything_is_touched(breakage, line):
    made = release()
    world = world_for(made)
    breakage(world)
    outcome = applied(world, made)
    assert (outcome.outcome, outcome.code) == ("refused", 3)
    assert line in outcome.line and "nothing touched" in outcome.line
    assert not world.commands("systemctl") and not world.links
    assert not any(path.startswith(("/etc/nginx", "/etc/systemd", "/home")) for path in world.files)


def test_every_missing_image_is_named():
    made = release()
    world = world_for(made)
    world.registry.clear()
    assert applied(world, made).line.count("docker push") == 13


def test_a_registry_that_refuses_is_no_missing_image():
    made = release()
    world = world_for(made)
    world.answers["docker pull"] = Ran(1, "no basic auth credentials")
    line = applied(world, made).line
    assert "13 image(s) cannot be pulled" in line and "no basic auth credentials" in line and "docker push" not in line


def test_an_image_that_ran_before_serves_on_when_the_registry_is_down(served):
    served.registry.clear()
    assert applied(served, release()).outcome == "unchanged"


def test_a_missing_secret_is_named():
    made = release(lambda data: service(data, "web").update(secrets=["TOKEN"]))
    outcome = applied(world_for(made), made)
    assert outcome.outcome == "refused" and "secret TOKEN of web is missing" in outcome.line


def test_secrets_are_written_for_root_alone():
    made = release(lambda data: service(data, "web").update(environment={"A": "1"}, secrets=["TOKEN"]))
    world = world_for(made)
    outcome = applied(world, made, {"web": {"TOKEN": "p $x"}})
    path = "/home/ubuntu/watchme-docker/web.env"
    assert world.files[path] == (b"A=1\nTOKEN='p $x'\n", 0o600, "root", "root")
    assert "p $x" not in outcome.to_json() and not any("p $x" in command for command in world.ran)
    assert applied(world, made, {"web": {"TOKEN": "new"}}).restarted == ["watchme-web-app.service"]


def test_a_damaged_archive_is_refused():
    made = release()
    outcome = applied(world_for(made), made, **{f"files{SITE}": b"damaged"})
    assert outcome.outcome == "refused" and f"{SITE} was damaged on the way" in outcome.line


def test_another_manifest_is_refused():
    made = release()
    assert applied(world_for(made), made, **{"manifest.json": b"{}"}).outcome == "refused"


def test_a_service_that_never_gets_well_fails_with_its_log_and_goes_on_next_time():
    made = release()
    world = world_for(made)
    world.web = lambda url: 503 if ":8015" in url else 200
    world.answers["journalctl -u watchme-api-manager.service"] = Ran(0, "scheduler: no database")
    outcome = applied(world, made)
    assert (outcome.outcome, outcome.code) == ("failed", 4)
    assert "scheduler answered 503" in outcome.line and "no database" in outcome.line
    assert CURRENT not in world.files
    world.web = lambda url: 200
    assert applied(world, made).outcome == "applied"


def test_an_apply_that_died_after_the_switch_is_finished_by_the_next(served):
    changed = release(lambda data: service(data, "avatar-uploader")["memory"].update(limit="300m"))
    served.answers["systemctl restart"] = Ran(1, "power cut")
    assert applied(served, changed).outcome == "failed"
    del served.answers["systemctl restart"]
    assert applied(served, changed).restarted == ["watchme-avatar-uploader.service"]


def test_certificates_are_asked_for_once_and_before_the_switch():
    made = release()
    world = world_for(made)
    applied(world, made)
    (command,) = world.commands("certbot")
    assert "--dns-route53" in command and "--server https://acme-v02.api.letsencrypt.org/directory" in command
    applied(world, made)
    assert not world.commands("certbot")


def test_another_authoritys_certificate_is_replaced(served):
    staging = release(config=lambda config: config.update({"infra:acmeDirectory": "https://staging.example/dir"}))
    applied(served, staging)
    assert len(served.commands("certbot")) == 1
    applied(served, release())
    assert len(served.commands("certbot")) == 1


def with_echo(data):
    entry = dict(service(data, "web"))
    entry.update(
        name="echo", port=8020, port_exception=None, container="echo", address="172.27.0.20", unit="echo.service",
        directory="/srv/echo", route={"public": "/echo/"},
    )  # fmt: skip
    data["services"].append(entry)


def test_what_a_failed_release_brought_goes_with_the_next(served):
    served.web = lambda url: 0 if ":8020" in url else 200
    assert applied(served, release(with_echo)).outcome == "failed"
    assert {"/etc/systemd/system/echo.service", "/srv/echo/docker-compose.prod.yml"} <= set(served.files)
    assert applied(served, release()).outcome == "applied"
    assert "/etc/systemd/system/echo.service" not in served.files and "echo.service" not in served.enabled
    assert PENDING not in served.files


def test_two_failed_releases_leave_nothing_behind(served):
    def with_other(data):
        with_echo(data)
        service(data, "echo").update(name="other", unit="other.service", directory="/srv/other", container="other")

    served.web = lambda url: 0 if ":8020" in url else 200
    served.answers["systemctl restart"] = Ran(1, "power cut")
    assert applied(served, release(with_echo)).outcome == "failed"
    assert applied(served, release(with_other)).outcome == "failed"
    del served.answers["systemctl restart"]
    assert applied(served, release()).outcome == "applied"
    assert not any("/srv/" in path or "echo" in path or "other" in path for path in served.files)


def test_a_unit_is_stopped_by_the_files_that_started_it(served):
    def moved(data):
        service(data, "ast-api")["directory"] = "/srv/ast"

    applied(served, release(moved))
    stop, restart = served.ran.index("systemctl stop watchme-ast-api.service"), served.commands("systemctl restart")[0]
    assert stop < served.ran.index("systemctl daemon-reload") < served.ran.index(restart)
    assert "/home/ubuntu/api_ast/docker-compose.prod.yml" not in served.files


def test_an_image_that_never_got_well_is_replaced_by_the_old_one(served):
    image = next(image for image in served.registry if "watchme-web:" in image)
    old = served.registry[image]
    served.registry[image] = "sha256:bad"
    served.web = lambda url: 500 if ":3001" in url else 200
    assert applied(served, release()).outcome == "failed"
    served.registry[image], served.web = old, lambda url: 200
    assert applied(served, release()).restarted == ["watchme-web-app.service"]


def test_an_unforeseen_error_is_an_outcome_too(served, monkeypatch):
    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(served, "link", full)
    served.links.clear()
    outcome = applied(served, release())
    assert outcome.outcome in ("refused", "failed") and "No space left on device" in outcome.line


def test_a_secret_in_a_programs_complaint_is_masked():
    made = release(lambda data: service(data, "web").update(secrets=["TOKEN"]))
    world = world_for(made)
    world.answers["docker-compose"] = Ran(1, "unterminated quoted value hunter2")
    line = applied(world, made, {"web": {"TOKEN": "hunter2"}}).line
    assert "hunter2" not in line and "unterminated quoted value [secret]" in line
