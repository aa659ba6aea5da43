"""Native units on a host in memory that has what they need."""

from rendering.archive import build
from rendering.host import render
from tests.agent.parcels import ParcelWorld
from tests.agent.releases import applied
from tests.support import put_by_hand, unchanged, whole

USER = "/home/ice/.config/systemd/user"
PROGRAMS = {
    "/usr/local/bin/totton-audio-gadget-setup", "/opt/totton_audio/bin/gpu_upsampler_alsa",
    "/opt/totton_audio/venv/bin/uvicorn", "/opt/totton_audio/web/main.py", "/home/ice/dev/vocoder/bin/vocoder",
}  # fmt: skip
ARTEFACTS = {
    "whisper-backend": {"WhisperBackendAPI": "#!/bin/sh\n"}, "whisper-models": {"ggml-large-v3-turbo-q5_0.bin": "model"},
    "recall-api": {"venv/bin/gunicorn": "#!/bin/sh\n", "backend/app.py": "text"},
}  # fmt: skip


def release(host, system="totton", change=unchanged, config=unchanged):
    pushed = ParcelWorld()
    digests = {f"{name}:latest": pushed.publish(name, files).split("@")[1] for name, files in ARTEFACTS.items()}
    return build(render(put_by_hand(whole(config), system, change), host, digests))


def machine():
    world = ParcelWorld(
        active=set(), enabled=set(), accounts={"ice": "/home/ice"}, there={*PROGRAMS, "/bin/sh", "/bin/bash"},
        directories={"/opt/totton_audio": ("root", "root", 0o755)},
    )  # fmt: skip
    for name, files in ARTEFACTS.items():
        world.publish(name, files)
    return world


def serving(*made):
    world = machine()
    for one in made:
        assert applied(world, one).outcome == "applied"
    return world
