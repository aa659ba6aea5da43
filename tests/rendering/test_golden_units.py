"""Every directive that a document gives is in the unit that is rendered, one by one."""

import re

import pytest

from catalogue.systemd.directives import MOVED, table
from catalogue.systemd.values import BOOLEANS
from rendering.host import render
from tests.support import GOLDEN, whole

MADE = whole(lambda config: config.update({"infra:variants": {"whisper": "gpu"}}))
FILES = {file.path: file.content.decode() for host in ("services", "home") for file in render(MADE, host).files}
USER = "/home/ice/.config/systemd/user"
SYSTEM = "/etc/systemd/system"
PAIRS = {
    "whisper/whisper-backend.service": f"{SYSTEM}/whisper-backend.service",
    "totton/totton-audio-gadget.service": f"{SYSTEM}/totton-audio-gadget.service",
    "totton/gpu-upsampler.service": f"{SYSTEM}/gpu-upsampler.service",
    "totton/totton-audio-web.service": f"{SYSTEM}/totton-audio-web.service",
    "totton/journald.conf": "/etc/systemd/journald.conf.d/Totton Audio Project.conf",
    "vocoder/vocoder.service": f"{USER}/vocoder.service",
    "vocoder/directives.txt": f"{USER}/vocoder.service",
    "vocoder/override.conf": f"{USER}/vocoder.service.d/override.conf",
    "vocoder/template.service": f"{USER}/vocoder@.service",
}
LEFT_OUT = {
    "IOReadBandwidthMax=/dev/sda 10M": "the disk of one machine, and no user's manager may limit it",
    "IOWriteBandwidthMax=/dev/sda 5M": "the same",
}


def directives(text: str, section: str = "") -> list[tuple[str, str, str]]:
    """(section, name, value) of every line, under the names of now and with one way to write yes and quotes."""
    found = []
    for line in re.sub(r"\\\n\s*", "", text).splitlines():
        line = line.strip()
        if line.startswith("["):
            section = line.strip("[]")
        elif line and not line.startswith("#"):
            name, value = line.split("=", 1)
            home, now = MOVED.get((section, name), (section, name))
            assert now in table()[home], line
            plain = " ".join(value.replace('"', "").split())
            found.append((home, now, str(BOOLEANS[plain]) if plain in ("yes", "true", "no", "false") else plain))
    return found


CASES = [
    (golden, directive)
    for golden in PAIRS
    for directive in directives((GOLDEN / golden).read_text(), "Service")
    if f"{directive[1]}={directive[2]}" not in LEFT_OUT
]


@pytest.mark.parametrize(("golden", "directive"), CASES, ids=[f"{g.split('/')[1]} {d[1]}={d[2]}" for g, d in CASES])
def test_directive(golden, directive):
    assert directive in directives(FILES[PAIRS[golden]])


def test_omitted_directives_are_in_the_document():
    text = "".join((GOLDEN / golden).read_text() for golden in PAIRS)
    assert all(line in text for line in LEFT_OUT)


def test_units_repeat_only_repeatable_directives():
    for path, text in FILES.items():
        if path.endswith((".service", ".timer", ".socket")):
            names = [
                (section, name) for section, name, _ in directives(text) if name not in ("Environment", "WantedBy")
            ]
            assert len(names) == len(set(names)), path


def test_sections_and_directives_are_ordered():
    for path, text in FILES.items():
        if path.endswith((".service", ".timer", ".socket")):
            found = directives(text)
            order = [(list(table()).index(s), list(table()[s]).index(n)) for s, n, _ in found]
            assert order == sorted(order), path
