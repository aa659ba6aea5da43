"""What a host sends of its journal to a syslog server: its form, without secrets, and nothing left out."""

import json
import socket
import ssl
import threading
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from agent import receivers, shipping, store, streams
from agent.outcome import Mask
from tests.agent.fake import FakeWorld
from tests.agent.releases import applied, release, serving
from tests.catalogue.changes import configured, setting

CURSOR = "s=0a;i=1f;b=2b;m=3c;t=4d;x=5e"
CONFIG = {"host": "192.0.2.9", "port": 6514, "tls": True, "ca": "", "name": "watchme.prod"}
SECRET = "correct horse battery"


def entry(message, cursor=CURSOR, **fields):
    return json.dumps({"__CURSOR": cursor, "__REALTIME_TIMESTAMP": "1795566697500000", "MESSAGE": message, **fields})


class Server(streams.Stream):
    """Takes what is sent, unless it is away: for so many attempts to connect, or after so many messages."""

    def __init__(self, refuses=0, breaks_after=None):
        self.refuses, self.breaks_after, self.got, self.connections = refuses, breaks_after, [], 0
        self.closed = False

    def connect(self, host, port, tls, authorities):
        assert (host, port, tls) == ("192.0.2.9", 6514, True)
        self.connections += 1
        if self.connections <= self.refuses:
            raise ConnectionRefusedError(111, "Connection refused")
        self.closed = False
        return self

    def send(self, content):
        if self.breaks_after == len(self.got):
            self.breaks_after = None
            raise BrokenPipeError(32, "Broken pipe")
        self.got.append(content.decode())

    def is_closed(self):
        return self.closed

    def close(self):
        self.closed = True


def shipped(lines, server=None, world=None):
    """What a server got, what was said, and the command that the lines came from."""
    server, world = server or Server(), world or FakeWorld()
    world.files[shipping.CONFIG] = (json.dumps(CONFIG).encode(), 0o644, "root", "root")
    said, commands = [], []
    world.sleep = lambda seconds: None

    def stream(*argv, pause=5.0):
        commands.append(" ".join(argv))
        return iter(lines)

    world.stream = stream
    shipping.run(world, said.append, server.connect)
    return server.got, said, commands[0]


def test_an_entry_is_a_message_with_its_length_before_it():
    fields = json.loads(entry("hello\nworld", PRIORITY="3", CONTAINER_NAME="ast api", _PID="7"))
    text = receivers.frame(fields, "watchme.prod", Mask([])).decode()
    length, _, message = text.partition(" ")
    assert message == "<27>1 2026-11-25T00:31:37.500000Z watchme.prod ast_api 7 - - hello#012world"
    assert int(length) == len(message.encode())


@pytest.mark.parametrize(
    ("fields", "part"),
    [
        ({"MESSAGE": None}, " - - [not text]"),
        ({"MESSAGE": {"a": 1}}, " - - [not text]"),
        ({"MESSAGE": [104, 105, 255]}, " - - hi\ufffd"),
        ({"MESSAGE": "x", "PRIORITY": "99", "SYSLOG_FACILITY": ["1"]}, "<30>1 1970-01-01T00:00:00.000000Z "),
        ({"MESSAGE": "x", "__REALTIME_TIMESTAMP": "9" * 30}, "1970-01-01"),
        ({"MESSAGE": "x" * 100_000}, "x" * receivers.LONGEST),
        ({"MESSAGE": "\ud800", "SYSLOG_IDENTIFIER": ["a", "b"]}, " - - - - ?"),
    ],
)
def test_an_odd_entry_is_a_message_too(fields, part):
    assert part in receivers.frame(fields, "h", Mask([])).decode()


def test_new_lines_are_sent_and_it_is_noted_down_how_far_it_came():
    world = FakeWorld()
    got, said, command = shipped(
        [entry("a"), None, "no json", entry("b", _SYSTEMD_UNIT="infra-logs.service")], world=world
    )
    assert len(got) == 1 and got[0].endswith("- - a") and said == []
    assert command.startswith("journalctl -f -n 0 -o json")
    assert json.loads(world.read(shipping.CURSOR)) == {"cursor": CURSOR, "to": "192.0.2.9:6514", "at": world.time}
    # The next one goes on from there
    assert f"--after-cursor={CURSOR} --no-tail" in shipped([], world=world)[2]


def noted(**other):
    world = FakeWorld()
    note = {"cursor": CURSOR, "to": "192.0.2.9:6514", "at": world.time, **other}
    world.files[shipping.CURSOR] = (json.dumps(note).encode(), 0o600, "root", "root")
    return world


def test_a_note_of_another_server_or_another_time_is_no_place_to_go_on_from():
    """What the journal has since then may have secrets of releases that are gone."""
    world = noted()
    assert "--after-cursor" in shipped([], world=world)[2]
    world.time += shipping.OLDEST + 1
    assert " -n 0 " in shipped([], world=world)[2]
    for other in ({"to": "192.0.2.8:6514"}, {"at": "x"}, {"cursor": "no cursor; rm -rf"}, {"cursor": 3}):
        assert " -n 0 " in shipped([], world=noted(**other))[2]
    for text in (b"no cursor; rm -rf", b"[]", b"\xff"):
        world.files[shipping.CURSOR] = (text, 0o600, "root", "root")
        assert " -n 0 " in shipped([], world=world)[2]


def test_the_note_goes_with_the_service():
    world = noted()
    assert applied(world, release(config=configured(logs={"to": "tls://192.0.2.9"}))).code == 0
    assert world.exists(shipping.CONFIG) and world.exists(shipping.CURSOR)
    assert applied(world, release()).code == 0
    assert not world.exists(shipping.CONFIG) and not world.exists(shipping.CURSOR)


@pytest.mark.parametrize(
    "text",
    [f"\x1b[31m{SECRET}\x1b[0m", f"{SECRET[:5]}\x1b[1;32m{SECRET[5:]}", f"{SECRET[:3]}\x1b]8;;x\x07{SECRET[3:]}"],
)
def test_a_coloured_line_is_sent_without_its_colours_and_its_secrets(text):
    fields = json.loads(entry([*f"token {text} \u00e9".encode()]))
    assert receivers.frame(fields, "h", Mask([SECRET])).decode().endswith(" - - token [secret] \u00e9")


def test_secrets_stay_in_the_mask_for_as_long_as_it_runs():
    world = serving(release())
    world.files[store.NOTED] = (json.dumps([SECRET]).encode(), 0o600, "root", "root")

    def lines():
        yield entry("begins")
        store.forget_noted_secrets(world)
        yield entry(f"token {SECRET}")

    got, _, _ = shipped(lines(), world=world)
    assert got[1].endswith("token [secret]")


def test_secrets_that_come_while_the_server_is_away_are_in_the_mask():
    world, server = serving(release()), Server(refuses=1)

    def connect(*address):
        at_rest = server.connections
        try:
            return server.connect(*address)
        finally:
            if at_rest == 0:
                world.files[store.NOTED] = (json.dumps([SECRET]).encode(), 0o600, "root", "root")
            else:
                store.forget_noted_secrets(world)

    world.files[shipping.CONFIG] = (json.dumps(CONFIG).encode(), 0o644, "root", "root")
    world.sleep = lambda seconds: None
    world.stream = lambda *argv, pause=5.0: iter([entry("begins"), entry(f"token {SECRET}")])
    shipping.run(world, lambda line: None, connect)
    assert server.got[1].endswith("token [secret]")


def test_while_the_server_is_away_nothing_is_left_out_and_it_is_said_once():
    got, said, _ = shipped([entry("a"), entry("b"), entry("c")], Server(refuses=3, breaks_after=1))
    assert [line[-1] for line in got] == ["a", "b", "c"]
    assert "logs cannot be sent to 192.0.2.9:6514: " in said[0] and "refused; it is tried again" in said[0]
    assert said[1] == "192.0.2.9 takes logs again" and len(said) == 4


def test_a_secret_of_a_release_is_masked_from_its_first_line_on():
    config = configured(secrets={"web": {"TOKEN": "[encrypted]"}})
    made = release(setting("web", secrets=["TOKEN"]), config)
    world = serving(release())
    before, _, _ = shipped([entry("no secret")], world=world)
    assert before[0].endswith("no secret")
    world = serving(release())

    def lines():
        yield entry("begins")
        assert applied(world, made, secrets={"web": {"TOKEN": SECRET}}).code == 0
        yield entry(f"token {SECRET}", SYSLOG_IDENTIFIER="web")

    got, _, _ = shipped(lines(), world=world)
    assert got[1].endswith("token [secret]") and SECRET not in "".join(got)
    assert store.current_id(world) == made.id


def self_signed():
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "localhost")])
    now = datetime.now(UTC)
    names = x509.SubjectAlternativeName([x509.DNSName("localhost"), x509.IPAddress(ip_address("127.0.0.1"))])
    certificate = (
        x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key())
        .serial_number(x509.random_serial_number()).not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1)).add_extension(names, False)
        .add_extension(x509.BasicConstraints(True, None), True).sign(key, hashes.SHA256())
    )  # fmt: skip
    pem = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    return certificate.public_bytes(Encoding.PEM).decode(), pem.decode()


@pytest.fixture
def listener(tmp_path):
    """A server over TLS: its port, its certificate, what it got, and how it ends its connection."""
    certificate, key = self_signed()
    file = tmp_path / "server.pem"
    file.write_text(certificate + key)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(file)
    got, go = [], threading.Event()
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(20)

        def serve():
            try:
                with context.wrap_socket(server.accept()[0], server_side=True) as connection:
                    connection.settimeout(20)
                    got.append(connection.recv(100))
                    go.wait(20)
            except OSError as error:
                got.append(error)

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        yield server.getsockname()[1], certificate, got, lambda: (go.set(), thread.join(20))
        go.set()
        thread.join(20)


def test_over_tls_the_server_shows_who_it_is(listener):
    port, certificate, got, end = listener
    stream = streams.connect("127.0.0.1", port, True, certificate)
    stream.send(b"5 hello")
    assert not stream.is_closed()
    end()
    assert got == [b"5 hello"] and stream.is_closed()
    stream.close()


def test_a_server_of_an_unknown_authority_gets_nothing(listener):
    port, _, got, end = listener
    with pytest.raises(ssl.SSLCertVerificationError):
        streams.connect("127.0.0.1", port, True, "")
    end()
    assert b"hello" not in [item for item in got if isinstance(item, bytes)]
