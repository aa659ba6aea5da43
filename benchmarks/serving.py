"""`make bench-serving`: requests per second and latency through a site of the running lab, beside a site tuned by hand
and the service alone; and what the proxy and the agent take of memory while nothing is asked.

The load comes from `h2load` (Debian's nghttp2-client), in the network of the lab's host, so that nothing lies between.
Writes `results/serving.json` with every run."""

import json
import os
import platform
import re
import statistics
import subprocess
import sys
import tempfile
from datetime import UTC, datetime
from pathlib import Path
from typing import TypedDict

from lab import up
from lab.run import run
from lab.say import LabError
from lab.settings import HOST_LABEL, LABEL, Lab, default_lab

# So many requests, and not for so many seconds: then h2load 1.52 with a log may not end
ROUNDS, REQUESTS, CLIENTS = 5, 10_000, 32
LIMIT = 120  # seconds of one run
NAME, PATH, SERVICE_PORT, TUNED_PORT = "api.hey-watch.me", "/avatar/health", 8014, 9443
RESULTS = Path(__file__).parent / "results"
TUNED = "/etc/nginx/conf.d/benchmark.conf"
# As documentation of Nginx advises, with nothing else that a site has
TUNED_SITE = """
upstream benchmark {{ server 127.0.0.1:{port}; keepalive 64; }}
server {{
  listen {own} ssl http2;
  server_name {name};
  {certificate}
  {key}
  ssl_session_cache shared:benchmark:1m;
  access_log off;
  location / {{ proxy_pass http://benchmark; proxy_http_version 1.1; proxy_set_header Connection ""; }}
}}
"""
OURS, HAND_TUNED, ALONE = "the site", "a hand-tuned site", "the service alone"
TARGETS = {
    OURS: f"https://{NAME}:443{PATH}",
    HAND_TUNED: f"https://{NAME}:{TUNED_PORT}{PATH}",
    ALONE: f"http://{NAME}:{SERVICE_PORT}{PATH}",
}
PROTOCOLS = {"HTTP/1.1": ["--h1"], "HTTP/2": []}


class Measured(TypedDict):
    """One run: requests that were answered 200 per second, those that were not, and milliseconds of latency."""

    target: str
    protocol: str
    rate: float
    failed: int
    p50: float
    p99: float
    p999: float


def percentile(ordered: list[float], share: float) -> float:
    """Of values in their order; the greatest where there are too few."""
    return ordered[min(len(ordered) - 1, int(len(ordered) * share))]


def figures(log: str) -> tuple[float, int, float, float, float]:
    """Rate, failures and latencies by a log of h2load: a line for each request with its start, its status and its
    microseconds. Raises LabError for one without an answered request."""
    entries = [(int(start), status, int(duration)) for start, status, duration in map(str.split, log.splitlines())]
    times = sorted(duration / 1000 for _, status, duration in entries if status == "200")
    if not times:
        raise LabError("h2load: no request was answered 200")
    microseconds = max(start + duration for start, _, duration in entries) - min(start for start, _, _ in entries)
    rate = len(times) * 1e6 / microseconds
    return rate, len(entries) - len(times), percentile(times, 0.5), percentile(times, 0.99), percentile(times, 0.999)


def load(pid: str, target: str, protocol: str) -> Measured:
    """One run. Raises LabError."""
    url = TARGETS[target]
    port = url.split(":")[2].split("/")[0]
    with tempfile.TemporaryDirectory() as folder:
        log = Path(folder) / "log"
        command = [
            "nsenter", f"--net=/proc/{pid}/ns/net", "h2load", *PROTOCOLS[protocol], "-c", str(CLIENTS), "-t", "1",
            "-n", str(REQUESTS), f"--log-file={log}", f"--connect-to=127.0.0.1:{port}", url,
        ]  # fmt: skip
        ran = subprocess.run(command, capture_output=True, text=True, check=False, timeout=LIMIT)
        if ran.returncode:
            raise LabError(f"h2load: {(ran.stdout + ran.stderr).strip()[-300:]}")
        rate, failed, p50, p99, p999 = figures(log.read_text())
    return {
        "target": target, "protocol": protocol, "rate": rate, "failed": failed, "p50": p50, "p99": p99, "p999": p999,
    }  # fmt: skip


def container_of(lab: Lab) -> str:
    words = [
        "docker",
        "ps",
        "-q",
        "--filter",
        f"label={LABEL}={lab.name}",
        "--filter",
        f"label={HOST_LABEL}=lab-watchme",
    ]
    return run(*words).split()[0]


def on_host(container: str, script: str) -> str:
    return run("docker", "exec", container, "sh", "-ec", script)


def add_tuned_site(container: str) -> None:
    """Beside the host's own, which it does not touch."""
    site = on_host(container, "cat /etc/nginx/sites-enabled/*")
    certificate, key = (
        (re.search(rf"^\s*{name} [^;]+;", site, re.MULTILINE) or _missing(name))[0].strip()
        for name in ("ssl_certificate", "ssl_certificate_key")
    )
    text = TUNED_SITE.format(port=SERVICE_PORT, own=TUNED_PORT, name=NAME, certificate=certificate, key=key)
    subprocess.run(
        ["docker", "exec", "-i", container, "sh", "-ec", f"cat > {TUNED}; nginx -t -q; nginx -s reload; sleep 2"],
        input=text, text=True, check=True, timeout=60,
    )  # fmt: skip


def _missing(name: str) -> re.Match[str]:
    raise LabError(f"the host's site has no {name}")


def remove_tuned_site(container: str) -> None:
    on_host(container, f"rm -f {TUNED}; nginx -s reload")


def memory(container: str) -> dict[str, float]:
    """MiB (PSS) of the proxy, and of what of the agent runs on while nothing is done."""
    script = (
        "for p in /proc/[0-9]*; do [ -r $p/smaps_rollup ] || continue; "
        "echo \"$(awk '/^Pss:/ {print $2}' $p/smaps_rollup 2>/dev/null) $(tr '\\0' ' ' <$p/cmdline)\"; done"
    )
    totals = {"proxy": 0, "agent": 0}
    for line in on_host(container, script).splitlines():
        size, _, words = line.partition(" ")
        kind = "proxy" if words.startswith("nginx:") else "agent" if "/var/lib/infra/bin" in words else ""
        if kind and size.isdigit():
            totals[kind] += int(size)
    return {kind: round(size / 1024, 1) for kind, size in totals.items()}


def table(runs: list[Measured]) -> str:
    """A page's table: medians, with the least and most of the rates."""
    lines = ["| | | requests/s | p50 | p99 | p99.9 | failed |", "|---|---|---:|---:|---:|---:|---:|"]
    for protocol in PROTOCOLS:
        for target in TARGETS:
            own = [one for one in runs if (one["target"], one["protocol"]) == (target, protocol)]
            if own:
                rates = [one["rate"] for one in own]
                middle = {name: statistics.median(float(one[name]) for one in own) for name in ("p50", "p99", "p999")}
                spread = f"{min(rates):,.0f} to {max(rates):,.0f}"
                lines.append(
                    f"| {protocol} | {target} | {statistics.median(rates):,.0f} ({spread}) | "
                    f"{middle['p50']:.1f} ms | {middle['p99']:.1f} ms | {middle['p999']:.1f} ms | "
                    f"{sum(one['failed'] for one in own)} |"
                )
    return "\n".join(lines)


def main() -> int:
    lab = default_lab()
    if not up.is_running(lab):
        raise LabError("no lab is running; start it with make lab")
    if subprocess.run(["sh", "-c", "command -v h2load"], capture_output=True, check=False, timeout=10).returncode:
        raise LabError("h2load is missing: apt-get install nghttp2-client")
    container = container_of(lab)
    pid = run("docker", "inspect", "-f", "{{.State.Pid}}", container).strip()
    at_rest, runs = memory(container), list[Measured]()
    add_tuned_site(container)
    try:
        for number in range(ROUNDS):
            for protocol in PROTOCOLS:
                for target in TARGETS:
                    # The service speaks HTTP/1.1 alone
                    if target != ALONE or protocol == "HTTP/1.1":
                        runs.append(load(pid, target, protocol))
            print(f"round {number + 1} of {ROUNDS}", flush=True)
    finally:
        remove_tuned_site(container)
    print(table(runs))
    print(f"at rest: {', '.join(f'{kind} {size} MiB' for kind, size in at_rest.items())}")
    result = {
        "date": datetime.now(UTC).isoformat(timespec="minutes"), "machine": f"{os.cpu_count()} × {platform.machine()}",
        "load": os.getloadavg()[0], "clients": CLIENTS, "requests": REQUESTS, "memory": at_rest, "runs": runs,
    }  # fmt: skip
    (RESULTS / "serving.json").write_text(f"{json.dumps(result, indent=1)}\n")
    return 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except LabError as error:
        sys.exit(f"bench-serving: {error}")
