"""Native units as text: what the other fields of a service become in them."""

import pytest

from agent import journald
from catalogue.systemd.directives import table
from rendering.host import render
from tests.support import changed, digests, service, whole


def files(host, system, change):
    made = render(changed(whole(), system, change), host)
    return {file.path: file.content.decode() for file in made.files}, made


def test_environment_and_memory_of_a_timer_belong_to_its_job():
    def change(data):
        service(data, "vocoder-monitor").update(environment={"LEVEL": "high"}, memory={"limit": "64m"})

    found, _ = files("home", "vocoder", change)
    job = found["/home/ice/.config/systemd/user/vocoder-monitor.service"]
    assert "Environment=LEVEL=high\n" in job and "MemoryMax=64M\n" in job and "Type=oneshot\n" in job
    timer = found["/home/ice/.config/systemd/user/vocoder-monitor.timer"]
    assert "[Service]" not in timer and "OnCalendar=*:0/5\n" in timer


@pytest.mark.parametrize(
    ("value", "line"),
    [("plain", "Environment=A=plain"), ("two words", 'Environment="A=two words"'), ('{"a": 1}', 'Environment="A={\\"a\\": 1}"')],
)  # fmt: skip
def test_environment_values_are_quoted_for_systemd(value, line):
    found, _ = files(
        "services", "whisper", lambda data: service(data, "whisper-backend").update(environment={"A": value})
    )
    assert line in found["/etc/systemd/system/whisper-backend.service"].splitlines()


def test_secrets_go_into_the_private_file_of_the_account():
    def change(data):
        service(data, "recall-api").update(environment={"MODE": "prod"}, secrets=["API_KEY"])

    found, made = files("services", "recall", change)
    (private,) = made.environment_files
    assert (private.path, private.mode, private.owner) == ("/etc/recall/recall.env", 0o600, "recall")
    assert (private.values, private.secrets) == ({"MODE": "prod"}, {"API_KEY": "recall-api/API_KEY"})
    unit = found["/etc/systemd/system/recall-api.service"]
    assert "EnvironmentFile=/etc/recall/recall.env\n" in unit and "Environment=" not in unit
    assert private.path in next(unit for unit in made.units if unit.name == "recall-api.service").files


def test_socket_unit_is_unaffected_by_changes_of_its_service():
    def change(data):
        service(data, "recall-api").update(purpose="other", environment={"A": "1"})

    (before, made), (after, _) = files("services", "recall", lambda data: None), files("services", "recall", change)
    path = "/etc/systemd/system/recall-api.socket"
    assert before[path] == after[path] and "ListenStream=127.0.0.1:8000\n" in before[path]
    assert next(unit for unit in made.units if unit.name == "recall-api.socket").files == [path]


def test_the_agent_judges_journald_by_the_same_names():
    assert set(table()["Journal"]) == journald.KEYS


TIED = {
    "its directives": lambda data: None,
    "a drop-in": lambda data: service(data, "upsampler").update(
        drop_ins={"tie": {"Unit": {"Requires": service(data, "upsampler")["directives"]["Unit"].pop("Requires")}}}
    ),
    "RequiredBy of the other": lambda data: service(data, "gadget")["directives"]["Install"].update(
        RequiredBy=service(data, "upsampler")["directives"]["Unit"].pop("Requires") and "gpu-upsampler.service"
    ),
}


@pytest.mark.parametrize("tie", TIED)
def test_tied_units_restart_with_their_unit(tie):
    """Its unit, a drop-in, its environment file, a file of the catalogue's: systemd stops the others with it."""

    def change(data):
        service(data, "upsampler")["directives"]["Unit"].pop("BindsTo")
        TIED[tie](data)
        service(data, "gadget").update(
            drop_ins={"more": {"Service": {"Nice": "5"}}}, environment={"A": "1"}, environment_file="/srv/gadget/.env",
            files=[{"path": "/srv/gadget/gunicorn.conf.py", "source": "recall/gunicorn.conf.py", "must_exist": []}],
        )  # fmt: skip

    _, made = files("home", "totton", change)
    own = next(unit for unit in made.units if unit.name == "totton-audio-gadget.service").files
    assert {"/srv/gadget/.env", "/srv/gadget/gunicorn.conf.py"} <= {*own}
    assert "/etc/systemd/system/totton-audio-gadget.service.d/more.conf" in own
    for name in ("gpu-upsampler.service", "totton-audio-web.service"):
        assert {*own} <= {*next(unit for unit in made.units if unit.name == name).files}


def test_native_unit_restarts_with_a_required_container_unit():
    """Of another kind, of another system of the host; its image is named in its compose file."""

    def change(data):
        service(data, "upsampler")["directives"]["Unit"]["Requires"] = "watchme-ast-api.service"

    made = changed(whole(lambda config: config["infra:hosts"]["home"]["systems"].append("watchme")), "totton", change)
    rendered = render(made, "home", digests())
    units = {unit.name: unit for unit in rendered.units}
    container = units["watchme-ast-api.service"]
    assert any(path.endswith("docker-compose.prod.yml") for path in container.files)
    for name in ("gpu-upsampler.service", "totton-audio-web.service"):
        assert {*container.files} <= {*units[name].files}
    assert not {*container.files} & {*units["totton-audio-gadget.service"].files}
