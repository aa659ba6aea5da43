"""WhisperBackendAPI on the second EC2 host: what WhisperBackendAPI's "Operation" promises, seen."""

import json
import re

import pytest

from tests.system.conftest import System
from tests.system.on import main_pid, shown, systemctl, until, write

pytestmark = pytest.mark.lab
HOST, UNIT, NAME = "services", "whisper-backend.service", "whisper.hey-watch.me"
CONFIG = "files/static/whisper/config.toml"


def health(system: System) -> dict[str, str]:
    status, _, body = system.ask("GET", "/health", name=NAME)
    assert status == 200
    return json.loads(body)


def test_the_main_process_is_the_program_itself_in_an_account_without_login(system):
    pid = main_pid(system, HOST, UNIT)
    program = system.on_host("readlink", f"/proc/{pid}/exe", host=HOST).output
    assert re.fullmatch("/opt/infra/artefacts/whisper-backend-[0-9a-f]{16}/WhisperBackendAPI", program), program
    assert system.on_host("readlink", "/opt/whisper/WhisperBackendAPI", host=HOST).output == program
    assert system.on_host("ps", "-o", "user=", "-p", pid, host=HOST).output == "whisper"
    assert system.on_host("getent", "passwd", "whisper", host=HOST).output.endswith(":/opt/whisper:/usr/sbin/nologin")
    for name in ("temp", "uploads"):
        assert system.on_host("stat", "-c", "%U %F", f"/opt/whisper/{name}", host=HOST).output == "whisper directory"


def test_killed_service_is_back_after_three_seconds(system):
    before = shown(system, HOST, UNIT, "NRestarts", "MainPID")
    system.on_host("kill", "-9", before["MainPID"], host=HOST)
    until("a new process", lambda: main_pid(system, HOST, UNIT) not in ("0", before["MainPID"]))
    after = shown(system, HOST, UNIT, "NRestarts", "ActiveExitTimestampMonotonic", "ActiveEnterTimestampMonotonic")
    assert int(after["NRestarts"]) == int(before["NRestarts"]) + 1
    # On systemd's own clock: it waited for RestartSec, and not for longer
    away = int(after["ActiveEnterTimestampMonotonic"]) - int(after["ActiveExitTimestampMonotonic"])
    assert 2_900_000 < away < 5_000_000
    until("its health", lambda: system.ask("GET", "/health", name=NAME)[0] == 200)


def test_writes_outside_the_allowed_paths_are_refused(system):
    system.on_host("install", "-d", "-o", "whisper", "/etc/whisper-probe", host=HOST)
    assert "Read-only file system" in write(system, HOST, UNIT, "/etc/whisper-probe/x", "whisper")
    assert write(system, HOST, UNIT, "/opt/whisper/temp/x", "whisper") == ""
    # Without the unit's mounts the same account may write there: it is the unit that forbids it
    done = system.on_host("runuser", "-u", "whisper", "--", "touch", "/etc/whisper-probe/x", host=HOST)
    assert done.code == 0
    system.on_host("rm", "-r", "/etc/whisper-probe", "/opt/whisper/temp/x", host=HOST)


@pytest.mark.nightly
def test_body_limit_of_the_proxy_is_the_services(watchme):
    watchme.edit(CONFIG, "max_request_size = 104857600", "max_request_size = 1048576")
    output = watchme.must_up()
    assert "applied on services" in output
    assert watchme.ask("POST", "/transcribe", b"x" * 1048576, name=NAME)[::2] == (200, b'{"bytes":1048576}')
    status, _, body = watchme.ask("POST", "/transcribe", b"x" * 1048577, name=NAME)
    assert status == 413 and b"nginx" in body


@pytest.mark.nightly
def test_missing_model_is_refused_before_the_switch(watchme):
    pid = main_pid(watchme, HOST, UNIT)
    watchme.edit(CONFIG, "models/ggml-large-v3-turbo-q5_0.bin", "models/ggml-medium.bin")
    ran = watchme.up()
    assert ran.code != 0 and "refused on services, nothing touched: the release's artefact does not fit" in ran.output
    assert "/opt/whisper/models/ggml-medium.bin is not in it (whisper.model_path of /opt/whisper/config" in ran.output
    assert main_pid(watchme, HOST, UNIT) == pid


@pytest.mark.nightly
def test_variant_option_switches_to_gpu_and_back(system):
    assert health(system) == {"status": "ok", "cublas": "", "log": "info"}
    with system.configured(**{"variants.whisper": "gpu"}):
        system.must_up()
        assert health(system) == {"status": "ok", "cublas": "1", "log": "info"}
        assert systemctl(system, HOST, "is-active", "nvidia-persistenced.service") == "active"
        environment = shown(system, HOST, UNIT, "Environment")["Environment"]
        assert "CUDA_PATH=/usr/local/cuda LD_LIBRARY_PATH=/usr/local/cuda/lib64" in environment
    system.must_up()
    assert health(system)["cublas"] == ""
    assert systemctl(system, HOST, "is-active", "nvidia-persistenced.service") == "inactive"
    assert systemctl(system, HOST, "is-enabled", "nvidia-persistenced.service") == "disabled"
