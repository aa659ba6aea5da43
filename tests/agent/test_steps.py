"""Release steps on a host in memory: before the switch where that can be, each once, and never half believed."""

import copy
import json

import pytest

from agent import desired_state, jobs, steps, store
from agent.recover import recover
from agent.world import CommandResult
from tests.agent.fake import FakeWorld, Killed
from tests.agent.releases import JOB, applied, gone_back, images, release, serving
from tests.catalogue.changes import both, configured, setting
from tests.catalogue.containers import with_database
from tests.rows import changes
from tests.support import service

WEB = "watchme-web-app.service"
SECRETS = {"db": {"POSTGRES_PASSWORD": "x" * 12}}
RUN = "/usr/bin/docker-compose -p infra-step-watchme-web-prod-release"


def migrating(*more, command="migrate now", **options):
    """The web dashboard with a migration."""
    return both(with_database, setting("web", release={"command": command, **options}), *more)


def bigger(data):
    service(data, "web")["memory"].update(limit="300m")


def newer_database(data):
    service(data, "db")["image"].update(tag="16.5")


def with_secrets(data):
    data["infra:secrets"] = SECRETS


def made(*more, version=1, **options):
    return release(migrating(*more, **options), version=version)


def ran(world):
    return [command for command in world.ran if " run --rm " in command]


def position(world, beginning):
    return next(number for number, command in enumerate(world.ran) if command.startswith(beginning))


def applied_with(world, one):
    return applied(world, one, SECRETS)


@pytest.fixture(scope="module")
def _served():
    world = FakeWorld()
    # Docker says of each container that it is healthy
    made_one = made()
    world.registry |= images(made_one)
    for name in ("db", "worker"):
        world.docker.containers[name] = {"watchme-network": ""}
        world.docker.states[name] = {"Health": {"Status": "healthy"}, "StartedAt": "2026-01-01T00:00:00Z"}
    outcome = applied_with(world, made_one)
    assert outcome.outcome == "applied", outcome.line
    return world, list(world.ran)


@pytest.fixture
def served(_served):
    world = copy.deepcopy(_served[0])
    world.ran.clear()
    return world


def test_step_of_a_first_release_runs_once_its_prerequisites_are_healthy(_served):
    _, commands = _served
    step = next(number for number, command in enumerate(commands) if " run --rm " in command)
    started = [number for number, command in enumerate(commands) if command.startswith("systemctl restart")]
    assert "db.service" in commands[started[0]] and "watchme-infrastructure" in commands[started[0]]
    assert WEB not in commands[started[0]]
    assert started[0] < step < started[1] and WEB in commands[started[1]]


def test_step_runs_within_the_switch_when_its_prerequisites_change(served):
    outcome = applied_with(served, made(version=2))
    assert outcome.outcome == "applied", outcome.line
    assert len(ran(served)) == 1
    assert position(served, "systemctl restart") < position(served, RUN)


def newer_web(data):
    service(data, "web")["image"].update(tag="2")


def test_step_runs_before_the_switch_when_its_prerequisites_are_unchanged(served):
    outcome = applied_with(served, made(newer_web))
    assert outcome.outcome == "applied", outcome.line
    assert len(ran(served)) == 1 and position(served, RUN) < position(served, "systemctl stop")


def test_failed_step_refuses_the_release_with_its_output(served):
    before = served.seen_by_programs()
    served.answers[f"{RUN}"] = CommandResult(1, "Applying 0002_orders\nrelation orders exists already")
    outcome = applied_with(served, made(newer_web))
    assert outcome.outcome == "refused" and served.seen_by_programs() == before
    assert "nothing switched; what the step has done stays: release step release of web ended with 1" in outcome.line
    assert "'migrate now'" in outcome.line or "migrate now" in outcome.line
    assert "relation orders exists already" in outcome.line and "nothing touched" not in outcome.line
    # It is tried again
    del served.answers[RUN]
    assert applied_with(served, made(newer_web)).outcome == "applied" and len(ran(served)) == 1


def test_a_failed_step_within_the_switch_rolls_back(served):
    before = served.seen_by_programs()
    served.answers[RUN] = CommandResult(3, "no such column")
    outcome = applied_with(served, made(newer_web, newer_database))
    assert outcome.outcome == "rolled back" and "no such column" in outcome.line
    assert served.seen_by_programs() == before


def test_step_that_exceeds_its_limit_is_ended(served):
    served.answers[RUN] = CommandResult(124, "waiting\nno end after 90 s")
    outcome = applied_with(served, made(newer_web, limit="90s"))
    assert outcome.outcome == "refused" and "did not finish within 90 s and was ended" in outcome.line
    assert served.ran[position(served, RUN) + 1].startswith("docker rm --force --volumes infra-step-")


def test_a_step_that_ends_with_124_itself_is_not_taken_for_late(served):
    served.answers[RUN] = CommandResult(124, "upstream timed out")
    assert "ended with 124" in applied_with(served, made(newer_web)).line


def test_step_does_not_run_again_for_unrelated_changes(served):
    assert applied_with(served, made(bigger)).outcome == "applied" and not ran(served)
    assert applied_with(served, made(bigger)).outcome == "unchanged" and not ran(served)


def test_going_back_migrates_nothing_and_coming_again_neither(served):
    first = store.current_id(served)
    assert applied_with(served, made(newer_web)).outcome == "applied" and ran(served)
    assert gone_back(served, first).outcome == "applied" and not ran(served)
    assert applied_with(served, made(newer_web)).outcome == "applied" and not ran(served)


def test_changed_command_or_data_makes_another_step(served):
    assert applied_with(served, made(command="migrate more")).outcome == "applied" and len(ran(served)) == 1
    moved = setting("db", volumes=["other-db:/var/lib/postgresql/data"])
    assert applied_with(served, made(moved, command="migrate more")).outcome == "applied" and len(ran(served)) == 1


def test_step_runs_again_after_a_restore(served):
    steps.forget_done(served)
    outcome = applied_with(served, made())
    assert (outcome.outcome, outcome.changed, outcome.restarted) == ("applied", [], []) and len(ran(served)) == 1


def test_step_is_refused_when_a_prerequisite_is_unhealthy(served):
    served.docker.states["db"] = {"Health": {"Status": "unhealthy", "Log": []}}
    outcome = applied_with(served, made(newer_web))
    assert outcome.outcome == "refused" and not ran(served)
    assert "db is unhealthy, but release step release of web needs it: see infra logs db" in outcome.line


def test_staged_files_of_a_step_are_private_and_removed(served):
    written = {}
    original = served.run

    def run(*argv, **options):
        if argv[-1] == "release" and "run" in argv:
            written.update({path: file for path, file in served.files.items() if path.startswith(steps.STAGED)})
        return original(*argv, **options)

    served.run = run
    change = (newer_web, setting("web", environment={"MODE": "x"}), with_secret_of_web)
    outcome = applied(served, made(*change), {**SECRETS, "web": {"DATABASE_URL": "postgres://secret"}})
    assert outcome.outcome == "applied", outcome.line
    place = f"{steps.STAGED}/infra-step-watchme-web"
    environment = [path for path in written if path.endswith(".env")]
    assert len(environment) == 1 and b"postgres://secret" in written[environment[0]][0], written.keys()
    assert all(path.startswith(place.rsplit("/", 1)[0]) for path in written)
    assert not [path for path in served.files if path.startswith(steps.STAGED)]
    assert not any("postgres://secret" in command for command in served.ran)


def with_secret_of_web(data):
    service(data, "web").update(secrets=["DATABASE_URL"])


def test_killed_step_leaves_no_container_and_one_whole_release(served):
    after = made(newer_web)
    finished = copy.deepcopy(served)
    assert applied_with(finished, after).outcome == "applied"
    ends = [served.seen_by_programs(), finished.seen_by_programs()]
    for number in changes(finished.changes - served.changes):
        world = copy.deepcopy(served)
        world.kill_at = world.changes + number
        with pytest.raises(Killed):
            applied_with(world, after)
        world.kill_at = None
        recover(world, JOB, "power cut")
        world.ran.clear()
        steps.forget_leftovers(world)
        assert not [path for path in world.files if path.startswith(steps.STAGED)]
        assert world.seen_by_programs() in ends, number
        # And the same again gets there
        again = applied_with(world, after)
        assert again.outcome in ("applied", "unchanged") and world.seen_by_programs() == ends[1], (number, again.line)


def test_step_container_of_a_killed_job_is_removed(served):
    served.files[f"{steps.STAGED}/infra-step-web/compose.yml"] = (b"", 0o600, "root", "root")
    served.answers["docker ps --all --quiet --filter label=infra.step"] = CommandResult(0, "abc\n")
    jobs.forget_leftovers(served)
    steps.forget_leftovers(served)
    assert served.commands("docker rm --force --volumes abc")


@pytest.mark.parametrize("text", [b"", b"{", b"[]", b'{"done": 3}', b'{"done": [1, null]}', b"[" * 5000])
def test_a_damaged_record_runs_steps_once_more(served, text):
    served.files[steps.DONE] = (text, 0o600, "root", "root")
    assert applied_with(served, made()).outcome == "applied" and len(ran(served)) == 1
    assert len(json.loads(served.files[steps.DONE][0])["done"]) == 1


def test_kept_release_of_an_earlier_agent_has_no_steps(served):
    old = release(with_database)
    assert applied_with(served, old).outcome == "applied" and not ran(served)
    manifest = json.loads(served.files[f"{store.RELEASES}/{old.id}/manifest.json"][0])
    del manifest["steps"]
    text = json.dumps(manifest, indent=1, sort_keys=True, ensure_ascii=False).encode()
    earlier = desired_state.digest(text)
    served.files[f"{store.RELEASES}/{earlier}/manifest.json"] = (text, 0o600, "root", "root")
    assert store.manifest(served, earlier)["steps"] == []


def test_native_services_have_no_steps():
    assert serving(release()).commands(RUN) == []


def test_secrets_of_a_step_are_known_to_masks_before_its_release_is_kept(served, monkeypatch):
    config = configured(secrets={**SECRETS, "web": {"TOKEN": "[encrypted]"}})
    newer, value = release(migrating(newer_web, setting("web", secrets=["TOKEN"])), config), "not yet kept"
    known_at_step = []
    original = steps.run

    def run(*arguments):
        known_at_step.append((store.known_secrets(served), served.exists(f"{store.RELEASES}/{newer.id}/manifest.json")))
        return original(*arguments)

    monkeypatch.setattr(steps, "run", run)
    secrets = {**SECRETS, "web": {"TOKEN": value}}
    served.answers[RUN] = CommandResult(1, "no such column")
    assert applied(served, newer, secrets).outcome == "refused"
    (known,) = known_at_step
    assert value in known[0] and not known[1]
    # What it has logged is masked, until the next job begins
    assert value in store.known_secrets(served) and served.files[store.NOTED][1] == 0o600
    jobs.forget_leftovers(served)
    assert not served.exists(store.NOTED) and value not in store.known_secrets(served)
    del served.answers[RUN]
    assert applied(served, newer, secrets).outcome == "applied"
    assert not served.exists(store.NOTED) and value in store.known_secrets(served)


def test_a_damaged_note_of_secrets_stops_nothing(served):
    before = store.known_secrets(served)
    for text in (b"{", b"3", b"[3, null]", b"\xff"):
        served.files[store.NOTED] = (text, 0o600, "root", "root")
        assert store.known_secrets(served) == before
