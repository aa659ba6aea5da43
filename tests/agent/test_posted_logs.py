"""Logs that are posted, to Loki and by OTLP: what an answer acknowledges, what is tried again and what is left out."""

import base64
import json
import socket
import threading

import pytest

from agent import posting, receivers, shipping, store, streams
from agent.outcome import Mask
from rendering.shipping import CONFIG, TOKEN
from tests import tls_server
from tests.agent.fake import FakeWorld
from tests.agent.log_server import CURSOR, LogServer, configuration, cursor_of, entry, host_with, served, shipped
from tests.agent.releases import applied, release, serving
from tests.catalogue.changes import configured

SECRET = "correct horse battery"


def failure(config, token="", then=lambda: None):
    """What was said of a first attempt, which is followed by no other, and acknowledged nothing."""
    world, said = host_with(config, token), []

    def give_up(seconds):
        then()
        raise KeyboardInterrupt

    world.sleep, world.stream = give_up, lambda *argv, pause=5.0: iter([entry("x")])
    with pytest.raises(KeyboardInterrupt):
        shipping.run(world, said.append)
    (line,) = said
    assert cursor_of(world) == "" and line.endswith("; it is tried again")
    return line


def sent(lines, server, form="loki", world=None, token="", **values):
    """What was said while a server got the lines."""
    with served(server) as port:
        return shipped(lines, configuration(port, form, **values), world, token)[0]


def test_loki_gets_a_stream_for_each_service_with_two_labels():
    server = LogServer()
    lines = [entry("a"), entry("b\nc", CONTAINER_NAME="shop"), entry("d"), entry("e", SYSLOG_IDENTIFIER=None)]
    assert sent(lines, server) == []
    ((path, headers),) = server.requests
    assert path == "/loki/api/v1/push" and headers["Content-Type"] == "application/json"
    assert "Authorization" not in headers
    at = "1795566697500000000"
    assert server.got == [
        {
            "streams": [
                {"stream": {"host": "watchme.prod", "service": "web"}, "values": [[at, "a"], [at, "d"]]},
                {"stream": {"host": "watchme.prod", "service": "shop"}, "values": [[at, "b\nc"]]},
                {"stream": {"host": "watchme.prod", "service": "unknown_service"}, "values": [[at, "e"]]},
            ]
        }
    ]


def test_otlp_gets_a_resource_for_each_service_with_severities():
    server = LogServer()
    assert sent([entry("a", PRIORITY="3", _PID="7"), entry("b", SYSLOG_IDENTIFIER="shop")], server, "otlp") == []
    assert server.requests[0][0] == "/v1/logs"
    first, second = server.got[0]["resourceLogs"]
    names = [{"key": "host.name", "value": {"stringValue": "watchme.prod"}}]
    assert first["resource"]["attributes"] == [*names, {"key": "service.name", "value": {"stringValue": "web"}}]
    assert first["scopeLogs"][0]["logRecords"] == [
        {
            "timeUnixNano": "1795566697500000000", "severityNumber": 17, "severityText": "err",
            "body": {"stringValue": "a"}, "attributes": [{"key": "process.pid", "value": {"intValue": "7"}}],
        }
    ]  # fmt: skip
    (record,) = second["scopeLogs"][0]["logRecords"]
    assert (record["severityNumber"], record["severityText"]) == (9, "info") and "attributes" not in record


@pytest.mark.parametrize(
    "fields",
    [
        {"MESSAGE": None}, {"MESSAGE": [104, 105, 255]}, {"MESSAGE": "\ud800\x00"}, {"MESSAGE": "x" * 100_000},
        {"__REALTIME_TIMESTAMP": "9" * 19}, {"PRIORITY": ["3"], "_PID": "-7"}, {"SYSLOG_IDENTIFIER": "\ud800"},
    ],
)  # fmt: skip
@pytest.mark.parametrize("form", ["loki", "otlp"])
def test_an_odd_entry_is_valid_json_with_a_time_of_64_bits(form, fields):
    receiver = receivers.receiver_for(configuration(1, form), "", lambda *address: pytest.fail("no connection"))
    line = receiver.line(json.loads(entry("x")) | fields, Mask([]))
    parsed = json.loads(receiver.body([line]).decode())
    if form == "loki":
        ((at, text),) = parsed["streams"][0]["values"]
    else:
        (record,) = parsed["resourceLogs"][0]["scopeLogs"][0]["logRecords"]
        at, text = record["timeUnixNano"], record["body"]["stringValue"]
    assert 0 <= int(at) < 2**63 and 0 < len(text) <= receivers.LONGEST


def test_batches_are_of_so_many_lines_and_bytes_over_one_connection():
    server = LogServer()
    count = receivers.MOST_LINES + 1
    assert sent([entry(str(number)) for number in range(count)], server) == []
    assert server.lines == [str(number) for number in range(count)]
    assert len(server.requests) == 2 and len(server.connections) == 1
    server = LogServer()
    assert sent([entry("x" * 16000) for _ in range(40)], server) == []
    assert len(server.lines) == 40 and len(server.requests) == 2


def test_a_line_waits_for_no_full_batch():
    server, world = LogServer(), FakeWorld()

    def lines():
        yield entry("a")
        yield None
        assert server.lines == ["a"]
        yield entry("b")
        world.clock += 2
        yield entry("c")
        assert server.lines == ["a", "b", "c"]

    assert sent(lines(), server, world=world) == []


def test_it_is_noted_down_only_once_the_server_has_acknowledged():
    server, world = LogServer([503, 503]), FakeWorld()
    notes = []
    with served(server) as port:
        config = configuration(port)
        lines = [entry("a", 1), None, entry("b", 2), None]
        said, _ = shipped(lines, config, world, sleep=lambda seconds: notes.append((seconds, cursor_of(world))))
        assert notes == [(1.0, ""), (5.0, "")] and cursor_of(world) == CURSOR.format(2)
        assert server.lines == ["a", "b"]
        assert said[0].endswith("/loki/api/v1/push: it answers 503; it is tried again") and len(said) == 2
        assert said[1] == "127.0.0.1 takes logs again"
        # The next one goes on from there
        assert f"--after-cursor={CURSOR.format(2)} --no-tail" in shipped([], config, world)[1]
        # To another kind of server it begins with new lines
        assert " -n 0 " in shipped([], configuration(port, "otlp"), world)[1]


def test_after_a_restart_it_begins_where_nothing_had_been_taken_yet():
    """A token that was wrong at first costs no line."""
    world = FakeWorld()
    world.time = 1795566697.5
    with served(LogServer()) as port:
        assert " -n 0 " in shipped([], configuration(port), world)[1]
        world.time += 60
        assert " --since=@1795566697 --no-tail " in shipped([], configuration(port), world)[1]
        world.time += shipping.OLDEST
        assert " -n 0 " in shipped([], configuration(port), world)[1]


@pytest.mark.parametrize("status", [302, 401, 403, 404, 429, 500, 503])
@pytest.mark.parametrize("form", ["loki", "otlp"])
def test_what_may_be_taken_later_is_tried_again_and_said_once(form, status):
    server = LogServer([status] * 3, says=b"go away\n")
    said = sent([entry("a"), None, entry("b")], server, form)
    assert len(server.requests) == 5 and len(server.got) == 2
    assert f": it answers {status}: go away; it is tried again" in said[0] and len(said) == 2


def test_a_refused_batch_is_left_out_and_said_once():
    server, world = LogServer([400, 400, 204, 422], says=b"entry too far behind"), FakeWorld()
    lines = [entry("a", 1), None, entry("b", 2), None, entry("c", 3), None, entry("d", 4), entry("e", 5)]
    (said,) = sent(lines, server, world=world)
    assert server.lines == ["c"] and len(server.requests) == 4
    assert "refuses up to 1 line for good: it answers 400: entry too far behind; left out" in said
    # It is said again after a while, with all that were left out
    server = LogServer([400, 400, 400], says=b"no")

    def later():
        yield from lines[:4]
        world.clock += shipping.REPEATED
        yield from lines[4:6]

    said = sent(later(), server, world=world)
    assert ["1 line " in said[0], "2 lines " in said[1], len(said)] == [True, True, 2]
    assert cursor_of(world) == CURSOR.format(3)


def test_a_batch_that_is_too_large_is_halved_and_only_too_long_a_line_is_left_out():
    server, world = LogServer(judge=lambda body: 413 if len(body) > 1000 else 204), FakeWorld()
    texts = ["x" * 2000 if number == 9 else f"{number} " + "y" * 50 for number in range(40)]
    (said,) = sent([entry(text, number) for number, text in enumerate(texts)] + [None], server, world=world)
    assert server.lines == [text for text in texts if len(text) < 1000]
    assert "refuses up to 1 line for good: it answers 413; left out" in said and cursor_of(world) == CURSOR.format(39)
    server = LogServer([503, 413])
    said = sent([entry("a"), entry("b")], server)
    assert "it answers 503" in said[0] and said[1:] == ["127.0.0.1 takes logs again"]
    assert server.lines == ["a", "b"] and len(server.requests) == 4


def test_lines_that_otlp_takes_in_part_are_said():
    reasons = {"partialSuccess": {"rejectedLogRecords": "2", "errorMessage": "too old"}}
    server = LogServer([200], says=json.dumps(reasons).encode())
    (said,) = sent([entry("a"), entry("b"), entry("c")], server, "otlp")
    assert "refuses up to 2 lines for good: too old; left out" in said and len(server.requests) == 1
    for text in (b"", b"{}", b"no json", b"[]", b'{"partialSuccess": {"errorMessage": "a warning"}}'):
        assert sent([entry("a")], LogServer([200], says=text), "otlp") == []


@pytest.mark.parametrize(("user", "word"), [("", f"Bearer {SECRET[:7]}"), ("123", "Basic ")])
def test_the_token_is_in_the_header_and_in_nothing_that_is_said(user, word):
    token = SECRET.replace(" ", "-")
    server = LogServer([401], echoes=True)
    said = sent([entry("a")], server, token=token, user=user)
    header = server.requests[-1][1]["Authorization"]
    login = base64.b64encode(f"{user}:{token}".encode()).decode()
    assert header.startswith(word) and header == (f"Basic {login}" if user else f"Bearer {token}")
    text = " ".join(said)
    assert "it answers 401" in text and "[secret]" in text and token not in text and login not in text
    assert server.lines == ["a"]


def test_a_token_that_no_header_can_have_is_not_shown():
    server = LogServer()
    with served(server) as port:
        line = failure(configuration(port), "hunter\u00e92")
    assert "the secret logs.TOKEN has characters that no header can have" in line
    assert "hunter" not in line and server.requests == []


def test_secrets_of_releases_and_the_token_are_masked_in_what_is_posted():
    config = configured(logs={"to": "loki+http://10.20.1.9:3100"}, secrets={"logs": {"TOKEN": "[encrypted]"}})
    made, token = release(config=config), "a-token-of-loki"
    world, server = serving(release()), LogServer()
    assert applied(world, made, secrets={"logs": {"TOKEN": token}}).code == 0
    assert world.files[TOKEN] == (f"TOKEN={token}\n".encode(), 0o600, "root", "root")
    assert token.encode() not in world.files[CONFIG][0]
    world.files[store.NOTED] = (json.dumps([SECRET]).encode(), 0o600, "root", "root")
    lines = [entry(f"{SECRET} and {token}", SYSLOG_IDENTIFIER=f"web-{SECRET}")]
    assert sent(lines, server, world=world) == []
    (stream,) = server.got[0]["streams"]
    assert stream["stream"]["service"] == "web-[secret]" and server.lines == ["[secret] and [secret]"]
    assert server.requests[0][1]["Authorization"] == f"Bearer {token}"
    # Without infra:logs neither the token nor the note stays
    assert applied(world, release()).code == 0
    assert not world.exists(TOKEN) and not world.exists(shipping.CURSOR)


def test_another_token_restarts_the_service():
    config = configured(logs={"to": "loki+http://10.20.1.9:3100"}, secrets={"logs": {"TOKEN": "[encrypted]"}})
    (unit,) = [unit for unit in release(config=config).manifest["units"] if unit["name"] == "infra-logs.service"]
    assert TOKEN in unit["files"]


def test_a_server_that_ends_its_connections_gets_each_line_once():
    server = LogServer(closes=True)
    assert sent([entry("a"), None, entry("b"), None, entry("c")], server) == []
    assert server.lines == ["a", "b", "c"] and len(server.connections) == 3


def test_a_server_over_tls_shows_who_it_is(tmp_path):
    server = LogServer()
    with tls_server.served(tmp_path, "localhost", server.handler()) as port:
        config = configuration(port, host="localhost", tls=True, ca=(tmp_path / "root.crt").read_text())
        assert shipped([entry("a"), None, entry("b")], config)[0] == []
        assert server.lines == ["a", "b"] and len(server.connections) == 1
        assert "certificate verify failed" in failure(config | {"ca": ""}, SECRET)
        assert server.lines == ["a", "b"] and len(server.requests) == 2


@pytest.mark.parametrize("text", [b"", b"no HTTP\r\n\r\n", b"HTTP/1.1 204 No Cont", b"HTTP/1.1 204 x\r\nA: b\r\n"])
def test_half_an_answer_acknowledges_nothing(monkeypatch, text):
    """Also one that comes so slowly that it has no end."""
    monkeypatch.setattr(posting, "WHOLE", 0.3)
    over = threading.Event()
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def answer():
            connection = listener.accept()[0]
            with connection:
                connection.recv(65536)
                connection.sendall(text)
                over.wait(10)

        thread = threading.Thread(target=answer, daemon=True)
        thread.start()
        line = failure(configuration(listener.getsockname()[1]), then=over.set)
        thread.join(10)
    assert "no whole answer within" in line or "no answer of HTTP" in line


def test_a_server_that_is_away_gets_everything_afterwards():
    server, addresses, said = LogServer(), [], []

    def connect(*address):
        addresses.append(address)
        if len(addresses) <= 3:
            raise ConnectionRefusedError(111, "Connection refused")
        return streams.connect(*address)

    with served(server) as port:
        world = host_with(configuration(port))
        world.stream = lambda *argv, pause=5.0: iter([entry("a"), None, entry("b")])
        shipping.run(world, said.append, connect)
    assert server.lines == ["a", "b"] and len(addresses) == 4
    assert "refused; it is tried again" in said[0] and len(said) == 2


class HalfSent(socket.socket):
    """A connection whose other side reads no body."""

    def sendall(self, data, *flags):
        if data.startswith(b"POST"):
            return super().sendall(data, *flags)
        raise BrokenPipeError(32, "Broken pipe")


def answered_early(text):
    mine, other = socket.socketpair()
    with other, HalfSent(fileno=mine.detach()) as connection:
        other.sendall(text)
        return posting.post(streams.Stream(connection), "/", {"Host": "a"}, b"{}")


def test_an_answer_that_comes_before_the_body_was_read_can_only_refuse():
    answer = answered_early(b"HTTP/1.1 413 x\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
    assert (answer.status, answer.is_last) == (413, True)
    with pytest.raises(BrokenPipeError):
        answered_early(b"HTTP/1.1 204 x\r\n\r\n")
