"""What runs on a host to say which boot it is in, and to reboot it. It is run by the host's python3, with `payload` in
its globals: with `reboot` it does, unless another job holds the host's lock. It says `boot`, and `refused`
or `rebooting`."""

import fcntl
import json
import os
import subprocess
import time

SENT = 0.5  # seconds in which what was said is on its way


def boot():
    """Names this boot; a container's kernel is another machine's, and there it is systemd's own start."""
    with open("/proc/sys/kernel/random/boot_id") as file:
        kernel = file.read().strip()
    show = ["systemctl", "show", "-p", "UserspaceTimestampMonotonic", "--value"]
    return kernel + " " + subprocess.run(show, stdout=subprocess.PIPE, text=True).stdout.strip()


def main(payload):
    event = {"boot": boot()}
    if not payload.get("reboot"):
        return event
    os.makedirs(os.path.dirname(payload["lock"]), mode=0o755, exist_ok=True)
    descriptor = os.open(payload["lock"], os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    with os.fdopen(descriptor, "r+") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            event["refused"] = "another job is running on this host: " + (file.read().strip() or "an unnamed process")
            return event
        if os.path.exists(payload["transaction"]):
            event["refused"] = "an interrupted release is not settled on this host"
            return event
        # A host with little to stop ends the connection before the command has ended
        print(json.dumps({**event, "rebooting": True}), flush=True)
        time.sleep(SENT)
        command = payload["command"]
        ran = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        if ran.returncode:
            event["refused"] = "systemctl reboot failed: " + ran.stdout.strip()[-200:]
        else:
            event["rebooting"] = True
        return event


print(json.dumps(main(payload)), flush=True)
