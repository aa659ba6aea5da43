"""What runs on a host that has no release yet. Sent to the host and run there as root, with `payload` in its globals:
standard library only, nothing is written. Values of variables and contents of files leave the host as keyed hashes.

`payload`: `key` (hex), `containers` (names of the release's), `paths` and `units` (the release's), `names` (public),
`private` (ADDRESS:PORT that take no port of 127.0.0.1)."""

import contextlib
import glob
import hashlib
import hmac
import json
import os
import re
import shutil
import stat
import subprocess

MOST = 300  # containers, and images
LARGEST = 1024 * 1024  # bytes of a file that is compared
LIMIT = 60  # seconds of a command
UNIFIED = "/sys/fs/cgroup/cgroup.controllers"  # there under version 2 of control groups


def run(*argv):
    """What a command that only reads says; "" where it fails."""
    with contextlib.suppress(OSError, subprocess.SubprocessError):
        ran = subprocess.run(argv, stdin=subprocess.DEVNULL, capture_output=True, timeout=LIMIT, check=False)
        return ran.stdout.decode(errors="replace") if ran.returncode == 0 else ""
    return ""


def inspect(kind, ids):
    """What Docker says of those that there are; one that is gone meanwhile hides no other one."""
    with contextlib.suppress(OSError, subprocess.SubprocessError, ValueError):
        argv = ("docker", kind, "inspect", *ids)
        ran = subprocess.run(argv, stdin=subprocess.DEVNULL, capture_output=True, timeout=LIMIT, check=False)
        return json.loads(ran.stdout.decode(errors="replace") or "[]")
    return []


def container_ids():
    """The ids of all containers, and why they are not known, "" where they are."""
    if not shutil.which("docker"):
        return [], ""
    argv = ("docker", "ps", "--all", "--quiet", "--no-trunc")
    try:
        ran = subprocess.run(argv, stdin=subprocess.DEVNULL, capture_output=True, timeout=LIMIT, check=False)
    except (OSError, subprocess.SubprocessError):
        return [], f"docker ps did not end within {LIMIT} s"
    if ran.returncode:
        lines = ran.stderr.decode(errors="replace").split("\n")
        return [], next((line for line in lines if line.strip()), "docker ps failed")[:200]
    return ran.stdout.decode(errors="replace").split()[:MOST], ""


def mark(key, content):
    return hmac.new(key, content, hashlib.sha256).hexdigest()


def hash_variables(key, config):
    """A configuration whose variables have hashes for values."""
    pairs = [entry.partition("=") for entry in config.get("Env") or []]
    return {**config, "Env": [f"{name}={mark(key, value.encode())}" for name, _, value in pairs]}


def containers(key, names, ids):
    """Those with a name of the release's whole, of the others what is needed to name them; and their images."""
    described, images = [], set()
    for entry in inspect("container", ids) if ids else []:
        name, host = entry["Name"].lstrip("/"), entry["HostConfig"]
        networks = entry["NetworkSettings"]["Networks"] or {}
        one = {
            "name": name, "running": entry["State"]["Running"],
            "addresses": [network["IPAddress"] for network in networks.values() if network.get("IPAddress")],
            "ports": [
                f"{binding['HostPort']}/{port.rpartition('/')[2]}"
                for port, bindings in (host.get("PortBindings") or {}).items()
                for binding in bindings or []
            ],
        }  # fmt: skip
        if name in names:
            images.add(entry["Image"])
            parts = ("Id", "Name", "Image", "State", "HostConfig", "NetworkSettings", "Mounts")
            one["details"] = {part: entry.get(part) for part in parts}
            one["details"]["Config"] = hash_variables(key, entry["Config"])
            if not os.path.exists(UNIFIED):
                host.pop("CgroupnsMode", None)  # there Docker gives every container the host's
        described.append(one)
    return described, {
        image["Id"]: {
            "Id": image["Id"], "RepoDigests": image.get("RepoDigests"),
            "Config": hash_variables(key, image.get("Config") or {}),
        }
        for image in inspect("image", sorted(images)[:MOST])
    }  # fmt: skip


def listening(private):
    """Port/protocol → the program that listens there."""
    ports = {}
    for protocol, options in (("tcp", "-Hltnp"), ("udp", "-Hlunp")):
        for line in run("ss", options).splitlines():
            fields, program = line.split(), re.search(r'users:\(\("([^"]+)"', line)
            if len(fields) > 3 and not (protocol == "tcp" and fields[3] in private):
                ports[f"{fields[3].rpartition(':')[2]}/{protocol}"] = program[1] if program else ""
    return ports


def at(key, path):
    """What is at a path: "" nothing, the hash of a small file, or its kind."""
    try:
        mode = os.lstat(path).st_mode
        if stat.S_ISLNK(mode):
            return f"-> {os.readlink(path)}"
        if not stat.S_ISREG(mode):
            return "directory" if stat.S_ISDIR(mode) else "special"
        if os.path.getsize(path) > LARGEST:
            return "large"
        with open(path, "rb") as file:
            return mark(key, file.read(LARGEST))
    except OSError:
        return ""


def active_units(names):
    blocks = run("systemctl", "show", "--property=Id,ActiveState", *names).split("\n\n") if names else []
    states = [dict(line.split("=", 1) for line in block.splitlines() if "=" in line) for block in blocks]
    return [state["Id"] for state in states if state.get("ActiveState") in ("active", "activating") and "Id" in state]


def sites(names):
    """Files of proxies with one of the public names: [path, name]."""
    pairs, path = [], ""
    for line in run("nginx", "-T", "-q").splitlines():
        if line.startswith("# configuration file "):
            path = line[len("# configuration file ") :].rstrip(":")
        elif words := re.match(r"\s*server_name\s+([^;#]*)", line):
            pairs += [[os.path.realpath(path), name] for name in words[1].split() if name in names]
    for file in [path for place in ("Caddyfile", "*/*") for path in glob.glob(f"/etc/caddy/{place}")][:MOST]:
        with contextlib.suppress(OSError), open(file, errors="replace") as opened:
            text = opened.read(LARGEST)
            heads = re.findall(r"^([^\s#{][^#{\n]*)\{", text, re.MULTILINE)
            addresses = {re.sub(r"^https?://|:\d+$", "", word) for head in heads for word in re.split(r"[\s,]+", head)}
            pairs += [[file, name] for name in names if name in addresses]
    return pairs


def facts(request):
    key = bytes.fromhex(request["key"])
    ids, why = container_ids()
    described, images = containers(key, request["containers"], ids)
    return {
        "containers": described, "images": images, "docker": why, "listening": listening(request["private"]),
        "paths": {path: at(key, path) for path in request["paths"]},
        "units": active_units(request["units"]), "sites": sites(request["names"]),
    }  # fmt: skip


print(json.dumps({"facts": facts(payload)}), flush=True)
