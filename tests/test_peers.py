"""The parts of `make bench-peers` that need no lab: the measured line, the peers' files, tables and picture."""

import contextlib
import json
import os
import socket
import subprocess
import sys
import threading
import time
import xml.etree.ElementTree as ET
from pathlib import Path

import pytest

from benchmarks.peers import bars, table
from benchmarks.peers.line import Line
from benchmarks.peers.meters import Client, Memory
from benchmarks.peers.peers import Ansible, Limit, Login, PlainPulumi, Pyinfra, Step
from benchmarks.peers.results import RESULTS, about, with_table
from benchmarks.peers.session import follow
from benchmarks.peers.table import OURS, Run
from benchmarks.peers.work import Rendered, changed_files, changed_units, sleeping_unit, tree
from lab.settings import ROOT

UNIT = """[Unit]
After=docker.service

[Service]
ExecStart=/usr/bin/docker-compose -f /home/u/web/docker-compose.yml up

[Install]
WantedBy=multi-user.target docker.service
"""
RENDERED = Rendered(
    {
        "/etc/nginx/sites-available/api.example.org": "server { server_name api.example.org; proxy_pass http://service_web/; }",
        "/etc/nginx/upstreams/web.serving": "upstream service_web { server 127.0.0.1:3001; }",
        "/etc/systemd/system/web.service": UNIT,
        "/home/u/web/docker-compose.yml": "services: {}",
    },
    ["web.service"],
    "{}",
    "r1",
)


@pytest.fixture
def echo():
    """A server that answers each line with the same line."""
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def serve():
            while True:
                try:
                    client, _ = listener.accept()
                except OSError:
                    return
                threading.Thread(target=answer, args=(client,), daemon=True).start()

        def answer(client):
            with client, client.makefile("rb") as lines:
                for line in lines:
                    client.sendall(line)

        threading.Thread(target=serve, daemon=True).start()
        yield listener.getsockname()


def talk(port: int, lines: list[bytes]) -> bytes:
    with socket.create_connection(("127.0.0.1", port), 10) as client, client.makefile("rb") as answers:
        got = b""
        for line in lines:
            client.sendall(line)
            got += answers.readline()
        return got


def test_line_counts_connections_bytes_and_round_trips(echo):
    with Line(echo) as line:
        assert talk(line.port, [b"one\n", b"three\n", b"five\n"]) == b"one\nthree\nfive\n"
        assert talk(line.port, [b"six\n"]) == b"six\n"
    count = line.count
    assert (count.connections, count.round_trips, count.up, count.down) == (2, 4, 19, 19)


def test_line_takes_a_round_trip_for_each_answer_and_for_the_connection(echo):
    began = time.monotonic()
    with Line(echo, round_trip=0.1) as line:
        talk(line.port, [b"one\n", b"two\n"])
    assert time.monotonic() - began >= 0.3


def test_line_keeps_the_order_of_what_is_lost(echo):
    sent = [b"%d\n" % number for number in range(20)]
    with Line(echo, loss=1.0) as line, socket.create_connection(("127.0.0.1", line.port), 10) as client:
        for piece in sent:
            client.sendall(piece)
        with client.makefile("rb") as answers:
            assert [answers.readline() for _ in sent] == sent


def test_line_cuts_connections_that_are_kept_open(echo):
    with Line(echo) as line:
        client = socket.create_connection(("127.0.0.1", line.port), 10)
        client.sendall(b"one\n")
        assert client.recv(10) == b"one\n"
    with client, contextlib.suppress(ConnectionResetError):
        client.settimeout(10)
        assert client.recv(10) == b""


def test_line_to_a_host_that_does_not_listen_ends_the_connection():
    with socket.create_server(("127.0.0.1", 0)) as gone:
        target = gone.getsockname()
    with Line(target) as line, pytest.raises(OSError):
        if talk(line.port, [b"one\n"]) == b"":
            raise ConnectionResetError


def test_peers_files_are_as_many_as_ours_and_fight_none_of_them():
    one = tree(RENDERED, "limit")
    assert len(one.files) == len(RENDERED.files) and not set(one.files) & set(RENDERED.files)
    assert one.site == "/etc/nginx/conf.d/peer-limit.conf" and "server_name limit.invalid" in one.files[one.site]
    assert "http://peer_limit_web/" in one.files[one.site] and "service_web" not in "".join(one.files.values())
    assert [service.unit for service in one.services] == ["peer-limit-web.service"]
    assert one.services[0].files[1] == "/opt/peers/limit/home/u/web/docker-compose.yml"


def test_peers_unit_starts_nothing_of_ours():
    starting = [line for line in sleeping_unit(UNIT).splitlines() if line and not line.startswith(("#", "["))]
    assert starting == ["ExecStart=/bin/sleep infinity", "WantedBy=multi-user.target"]


def test_changed_compose_file_restarts_its_unit_alone():
    before = tree(RENDERED, "x")
    after = tree(
        Rendered({**RENDERED.files, "/home/u/web/docker-compose.yml": "services: {a: {}}"}, RENDERED.units, "", ""), "x"
    )
    assert changed_files(before, after) == ["/opt/peers/x/home/u/web/docker-compose.yml"]
    assert changed_units(before, after) == ["peer-x-web.service"] and changed_units(after, after) == []


@pytest.fixture
def login(tmp_path):
    (tmp_path / "key").write_text("KEY")
    return Login(2200, "ubuntu", tmp_path / "key", tmp_path / "known_hosts")


def test_limit_sends_changed_files_alone_and_nothing_without_a_change(tmp_path, login):
    before = tree(RENDERED, "limit")
    site = {**before.files, before.site: "server {}"}
    after = type(before)(before.peer, site, before.services, before.site, before.folder)
    step = Limit().prepare(tmp_path, login, before, after)
    assert (tmp_path / "changed").read_text() == "etc/nginx/conf.d/peer-limit.conf\n"
    assert step.argv and "daemon-reload" not in step.argv[-1] and "systemctl reload nginx" in step.argv[-1]
    assert Limit().prepare(tmp_path, login, after, after).argv is None


def test_each_peer_gets_every_file_and_the_measured_port(tmp_path, login):
    env = {"PULUMI_CONFIG_PASSPHRASE_FILE": "/lab"}
    for peer in (Pyinfra(Path("/venv")), Ansible("ansible", Path("/venv")), PlainPulumi(env)):
        folder = tmp_path / peer.name
        folder.mkdir()
        one = tree(RENDERED, peer.name)
        step = peer.prepare(folder, login, None, one)
        assert step.argv and step.folder == folder
        for path, text in one.files.items():
            assert (folder / "files" / path.lstrip("/")).read_text() == text
        written = "".join(path.read_text() for path in folder.iterdir() if path.is_file())
        assert "2200" in written
    assert step.env["PULUMI_CONFIG_PASSPHRASE_FILE"] == "" and "state" in step.env["PULUMI_BACKEND_URL"]


def run(peer=OURS, seconds=2.0, **fields):
    return Run(
        **{"peer": peer, "job": "line", "round_trip": 150, "loss": 0.0, "number": 1, "seconds": seconds, **fields}
    )


def test_summary_has_ratios_of_medians():
    runs = [run(seconds=one) for one in (1.0, 2.0, 9.0)] + [run("ansible", one) for one in (40.0, 50.0, 60.0)]
    assert "| 150 ms | one Nginx line | 2.00 s | 25× |" in table.summary(runs)


def test_runs_that_did_not_end_well_are_in_no_median_and_are_named():
    runs = [run(), run("pulumi", 7.0), run("pulumi", 700.0, is_good=False, loss=0.0)]
    assert "3.5×" in table.summary(runs)
    assert "- pulumi, one Nginx line, 150 ms" in table.page(about(4, 2048, "0.1", {"pyinfra": "3"}), runs)


def test_time_of_the_switch_is_read_off_the_output(tmp_path):
    words = "echo switching; sleep 0.3; echo waiting for 13 services to be healthy; cat; sleep 0.5; exit 4"
    step = Step(["sh", "-c", words], tmp_path, {})
    code, switched = follow(step, {**os.environ}, "input\n", tmp_path / "log")
    assert code == 4 and switched is not None and switched >= 0.3
    assert (tmp_path / "log").read_text().endswith("healthy\ninput\n")
    assert "| 1.50 s |" in table.details([run(switched=1.0), run(switched=2.0)])


def test_page_says_what_serves_after_a_failed_change():
    runs = [run(), run("ansible", job="failed", serves="the site, from memory")]
    text = table.page(about(4, 2048, "0.1", {"pyinfra": "3"}), runs)
    assert "| `ansible` | the site, from memory |" in text and "4 files (2 KiB)" in text and "Kamal" in text


def test_table_rows_have_as_many_cells_as_their_heading():
    runs = [run(), run("tar over SSH", 0.5), run("pyinfra", 30.0, loss=1.0)]
    for text in (table.summary(runs), table.details(runs)):
        assert len({line.count("|") for line in text.splitlines()}) == 1


def test_bar_chart_is_svg_with_a_bar_for_each_value():
    drawn = bars.bar_chart("Time <s>", {"one & two": {"ours": 0.5, "theirs": 50.0}}, "s", frozenset({"ours"}))
    root = ET.fromstring(drawn)
    widths = [float(r.get("width", 0)) for r in root.iter("{http://www.w3.org/2000/svg}rect") if r.get("x")]
    assert len(widths) == 2 and widths[1] > widths[0]
    texts = [element.text for element in root.iter("{http://www.w3.org/2000/svg}text")]
    assert "Time <s>" in texts and "50 s" in texts and {"0.1", "1", "10", "100"} <= set(texts)


def test_bar_chart_of_zero_is_refused():
    with pytest.raises(ValueError):
        bars.bar_chart("t", {"a": {"ours": 0.0}}, "s", frozenset())


def test_memory_counts_what_a_command_starts_even_when_it_leaves():
    program = "import time; block = bytearray(b'x') * (40 * 1024**2); time.sleep(1.5)"
    with Memory("one") as memory:
        env = {**os.environ, "BENCH_PEERS_RUN": "one"}
        subprocess.run(["setsid", "-w", sys.executable, "-c", program], env=env, check=True, timeout=60)
    assert memory.peak > 40 * 1024**2


def test_client_counts_failures():
    answers = iter([True, False])

    def ask():
        if (answer := next(answers, None)) is None:
            raise OSError
        return answer

    with Client(ask) as client:
        while client.requests < 4:
            time.sleep(0.01)
    assert client.requests >= 4 and client.failed == client.requests - 1


@pytest.mark.parametrize("name", ["README.md", "README.ja.md"])
def test_readme_shows_what_was_measured(name):
    runs = [Run(**entry) for entry in json.loads((RESULTS / "peers.json").read_text())["runs"]]
    assert table.summary(runs) in (ROOT / name).read_text()


def test_later_results_take_the_place_of_the_table():
    page = "# A\n\n| line | job | `x` |\n|---|\n| 0 ms |\n\nafter\n"
    assert with_table(page, "| line | job | `y` |\n|---|") == "# A\n\n| line | job | `y` |\n|---|\n\nafter\n"
    with pytest.raises(ValueError, match="no table begins with"):
        with_table("# A\n", "| line | job | `y` |")
