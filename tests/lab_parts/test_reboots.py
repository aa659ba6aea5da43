"""A machine of the lab that reboots by itself boots again; one that was stopped stays so."""

import subprocess

from lab.cloud import reboots


def test_only_a_reboot_begins_a_machine_again(monkeypatch):
    codes = ["129", "130", "137", "129", ""]
    begun: list[str] = []

    def run(argv, **_):
        code = codes.pop(0)
        return subprocess.CompletedProcess(argv, 0 if code else 1, f"{code}\n")

    monkeypatch.setattr(reboots.subprocess, "run", run)
    monkeypatch.setattr(reboots.time, "sleep", lambda _: begun.append("waited"))
    reboots._follow("machine", lambda: begun.append("began"))
    assert begun == ["began", "waited", "waited", "began"] and codes == []
