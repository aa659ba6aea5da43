"""The products' own programs in the lab's machines: stand-ins (lab/programs/) where their owners' builds would be.

A release brings units, configuration and files; what a product's owner builds is on the machine already.
"""

import os
import shutil
import sys
import tempfile
from pathlib import Path

from lab.images import build_go
from lab.run import run
from lab.say import step
from lab.settings import CACHE, KINDS, ROOT

PROGRAMS = ROOT / "lab" / "programs"
MODEL = "opt/whisper/models/ggml-large-v3-turbo-q5_0.bin"


def lay_out(tree: Path, kind: str) -> None:
    """The files of a machine of a kind: `host` (EC2: Whisper and Recall) or `plain` (Totton and Vocoder)."""
    shutil.rmtree(tree, ignore_errors=True)
    _copy(PROGRAMS / "notify.py", tree / "opt/lab/notify.py")
    {"host": _ec2, "plain": _own}[kind](tree)


def fetch() -> None:
    """Builds and installs what `lay_out` copies, once for all labs."""
    with tempfile.TemporaryDirectory() as folder:
        for kind in KINDS:
            lay_out(Path(folder) / kind, kind)


def _ec2(tree: Path) -> None:
    program = build_go(PROGRAMS / "whisper", "amd64" if os.uname().machine == "x86_64" else "arm64")
    _copy(program, tree / "opt/whisper/WhisperBackendAPI")
    (tree / MODEL).parent.mkdir(parents=True)
    (tree / MODEL).write_bytes(b"no model: a stand-in of the lab\n")
    _copy(PROGRAMS / "devices/nvidia-persistenced.service", tree / "usr/lib/systemd/system/nvidia-persistenced.service")
    shutil.copytree(PROGRAMS / "recall/backend", tree / "srv/recall/backend")
    _venv(tree, "srv/recall/venv", PROGRAMS / "recall/requirements.txt", gunicorn="gunicorn.app.wsgiapp:run")


def _own(tree: Path) -> None:
    _copy(PROGRAMS / "totton/gadget-setup", tree / "usr/local/bin/totton-audio-gadget-setup")
    _copy(PROGRAMS / "totton/gpu_upsampler_alsa", tree / "opt/totton_audio/bin/gpu_upsampler_alsa")
    shutil.copytree(PROGRAMS / "totton/web", tree / "opt/totton_audio/web")
    _venv(tree, "opt/totton_audio/venv", PROGRAMS / "totton/requirements.txt", uvicorn="uvicorn.main:main")
    _copy(PROGRAMS / "vocoder/vocoder", tree / "home/ice/dev/vocoder/bin/vocoder")
    _copy(PROGRAMS / "devices/devices", tree / "opt/lab/devices")
    _copy(PROGRAMS / "devices/lab-devices.service", tree / "etc/systemd/system/lab-devices.service")


def _venv(tree: Path, place: str, requirements: Path, **scripts: str) -> None:
    """A virtual environment for the machines' own Python, 3.11; `scripts` are name → module:function."""
    packages = CACHE / f"site-{requirements.parent.name}"
    pin = packages / "requirements.txt"
    if not pin.exists() or pin.read_text() != requirements.read_text():
        with step(f"installing {', '.join(scripts)} from PyPI"):
            shutil.rmtree(packages, ignore_errors=True)
            run(
                os.environ.get("UV", "uv"), "pip", "install", "--quiet", "--python", sys.executable,
                "--python-version", "3.11", "--only-binary", ":all:", "--target", str(packages), "-r",
                str(requirements),
            )  # fmt: skip
            shutil.copy(requirements, pin)
    home = tree / place
    shutil.copytree(
        packages, home / "lib/python3.11/site-packages", ignore=shutil.ignore_patterns("bin", "__pycache__")
    )
    (home / "bin").mkdir()
    (home / "pyvenv.cfg").write_text("home = /usr/bin\ninclude-system-site-packages = false\nversion = 3.11\n")
    (home / "bin/python3").symlink_to("/usr/bin/python3")
    for name, entry in scripts.items():
        module, function = entry.split(":")
        text = f"#!/{place}/bin/python3\nimport sys\nfrom {module} import {function}\nsys.exit({function}())\n"
        (home / "bin" / name).write_text(text)
        (home / "bin" / name).chmod(0o755)


def _copy(source: Path, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    shutil.copy2(source, target)
