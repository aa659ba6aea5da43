"""The gate: a host is waited for over SSH and prepared, against real SSH servers of the test's own."""

import io
import socket
import time
from contextlib import contextmanager

import paramiko
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa

from infra.errors import InfraError
from infra.init import key_pair
from infra.ready import Ready
from infra.ssh import Target, connect, private_key
from tests.ssh_server import Server, target

REQUEST = {"limit": 30, "first": "", "script": "echo hello", "arguments": ["2048", "nginx", "a package"]}


def server(answer=lambda command, given, say: 0, **values) -> Server:
    return Server(answer, **values)


def waited(target: Target, **request):
    """How it ended, and what it said on the way."""
    lines: list[str] = []
    ended = Ready(pause=0.05, denied=0.3).wait(target, {**REQUEST, **request}, lines.append)
    return ended, lines


@contextmanager
def port():
    """A port that takes connections and never speaks SSH."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        yield listener.getsockname()[1]


def closed_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as closed:
        return closed.getsockname()[1]


def test_preparation_script_is_sent_with_quoted_arguments():
    given = []
    made = server(lambda command, text, say: given.append((command, text)) or say("swap added") or 0)
    ended, lines = waited(target(made), first="cloud-init status --wait; ")
    assert given == [("cloud-init status --wait; sh -s 2048 nginx 'a package'", "echo hello")]
    assert (ended.code, ended.line, ended.result) == (0, "web1 is ready for a release", {"host": "web1"})
    assert lines[:2] == ["preparing web1", "swap added"]


def test_preparation_by_another_user_uses_sudo():
    made = server()
    waited(target(made, user="ubuntu"))
    assert made.commands == ["sudo -n sh -s 2048 nginx 'a package'"]


def test_failed_preparation_is_reported_in_one_line():
    def answer(command, text, say):
        say("prepare-host: cannot install: nginx")
        return 1

    made = server(answer)
    ended, _ = waited(target(made))
    # The server's own last word on standard error is "progress"
    assert ended.code == 1 and made.logins == 1
    assert ended.line.startswith(f"failed: web1 (root@127.0.0.1:{made.port}) cannot be prepared: ")


def test_wrong_host_key_ends_the_wait_and_nothing_is_sent():
    made = server()
    began = time.monotonic()
    ended, lines = waited(target(made, host_key=key_pair("other")[1]), limit=600)
    assert time.monotonic() - began < 60 and made.logins == 0 and lines == []
    assert "has the host key SHA256:" in ended.line and "is pinned: another machine may have its address" in ended.line


def test_host_key_of_another_type_ends_the_wait():
    made = server()
    other = paramiko.ECDSAKey.generate()
    ended, _ = waited(target(made, host_key=f"{other.get_name()} {other.get_base64()}"), limit=600)
    assert "has no host key of type ecdsa-sha2-nistp256" in ended.line and made.logins == 0


def test_a_closed_port_is_the_reason_when_the_time_is_over():
    made = server()
    ended, lines = waited(target(made, port=closed_port()), limit=0.5)
    assert "is not ready for a release after 0 s: web1" in ended.line and "Connection refused" in ended.line
    assert len(lines) == 1 and lines[0].startswith("waiting for web1: web1 (root@127.0.0.1:")


UNKNOWN = {"no such name": "no-such-host.invalid", "no name at all": f"{'a' * 64}.example"}


@pytest.mark.parametrize("address", UNKNOWN.values(), ids=UNKNOWN)
def test_unknown_host_name_ends_the_wait(monkeypatch, address):
    def unknown(*_, **__):
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    if address.endswith(".invalid"):
        monkeypatch.setattr(socket, "getaddrinfo", unknown)
    ended, lines = waited(target(server(), address=address))
    assert (ended.code, lines) == (1, []) and f"{address} does not resolve to an address" in ended.line


def test_a_resolver_that_does_not_answer_is_asked_again(monkeypatch):
    def silent(*_, **__):
        raise socket.gaierror(socket.EAI_AGAIN, "Temporary failure in name resolution")

    made = target(server(), address="web1.example")
    monkeypatch.setattr(socket, "getaddrinfo", silent)
    ended, lines = waited(made, limit=0.5)
    assert lines and "Temporary failure" in ended.line and "is not ready for a release after" in ended.line


def test_a_host_that_takes_connections_and_speaks_no_ssh():
    """Paused, or something else that listens there: each attempt has a limit, and so has all of it."""
    made = server()
    with port() as silent:
        ended, _ = waited(target(made, port=silent), limit=1.5)
    assert ended.code == 1 and "accepts connections, but did not finish the SSH handshake within" in ended.line


def test_a_user_that_is_not_known_yet_is_waited_for():
    made = server(users=[])
    key = target(made)

    def answer(seconds):
        assert made.users == []
        public = private_key(key)
        made.users = [f"{public.get_name()} {public.get_base64()}"]

    lines: list[str] = []
    gate = Ready(pause=0.05)
    ended = gate.wait(key, REQUEST, lambda line: (lines.append(line), "rejects" in line and answer(0)))
    assert ended.code == 0 and "rejects the stack's key (infra:sshPublicKey)" in lines[0]


def test_rejected_user_key_ends_the_wait_early():
    ended, _ = waited(target(server(users=[])), limit=600)
    assert ended.code == 1 and "rejects the stack's key (infra:sshPublicKey)" in ended.line


def test_a_script_that_does_not_end_is_ended_with_the_limit():
    made = server(lambda command, text, say: say("one") or time.sleep(60) or 0)
    ended, lines = waited(target(made), limit=1)
    assert "was reached, but preparing it did not end within 1 s (infra:readyTimeout)" in ended.line
    assert lines == ["preparing web1", "one"]


def test_a_connection_that_breaks_in_the_middle_is_made_again():
    answers = [None, 0]
    made = server(lambda command, text, say: answers.pop(0))
    ended, lines = waited(target(made))
    assert ended.code == 0 and made.logins == 2 and any("waiting for web1" in line for line in lines)


def test_interrupted_wait_reports_whether_the_host_was_changed():
    gate = Ready(host="web1")
    assert "while waiting for web1; nothing was changed there" in gate.interruption_line()
    gate.is_preparing = True
    assert "while web1 was being prepared, which may continue there" in gate.interruption_line()


def test_a_users_own_agent_is_never_asked(monkeypatch, tmp_path):
    with socket.socket(socket.AF_UNIX) as agent:
        agent.bind(str(tmp_path / "agent"))
        agent.listen()
        agent.settimeout(0)
        monkeypatch.setenv("SSH_AUTH_SOCK", str(tmp_path / "agent"))
        assert waited(target(server()))[0].code == 0
        with pytest.raises(BlockingIOError):
            agent.accept()
    # and a dead one is no hindrance
    assert waited(target(server()))[0].code == 0


HOST_KEYS = {
    "ed25519": lambda: paramiko.Ed25519Key.from_private_key(io.StringIO(key_pair("host")[0])),
    "ecdsa-256": lambda: paramiko.ECDSAKey.generate(bits=256),
    "ecdsa-384": lambda: paramiko.ECDSAKey.generate(bits=384),
    "ecdsa-521": lambda: paramiko.ECDSAKey.generate(bits=521),
    "rsa": lambda: paramiko.RSAKey.generate(2048),
}


@pytest.mark.parametrize("kind", HOST_KEYS)
def test_host_keys_of_every_type_are_checked(kind):
    made, other = server(key=HOST_KEYS[kind]()), HOST_KEYS[kind]()
    with connect(target(made)) as transport:
        assert transport.is_authenticated()
        if kind == "rsa":
            assert transport.host_key_type in ("rsa-sha2-256", "rsa-sha2-512")
    with (
        pytest.raises(InfraError, match="has the host key SHA256"),
        connect(target(made, host_key=f"{other.get_name()} {other.get_base64()}")),
    ):
        pass


FORMS = {
    "OpenSSH": (serialization.Encoding.PEM, serialization.PrivateFormat.OpenSSH),
    "PKCS8": (serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8),
    "traditional": (serialization.Encoding.PEM, serialization.PrivateFormat.TraditionalOpenSSL),
}
USER_KEYS = {
    "ed25519": ed25519.Ed25519PrivateKey.generate,
    "ecdsa": lambda: ec.generate_private_key(ec.SECP256R1()),
    "rsa": lambda: rsa.generate_private_key(65537, 2048),
}


@pytest.mark.parametrize(
    ("kind", "form"),
    [(kind, form) for kind in USER_KEYS for form in FORMS if (kind, form) != ("ed25519", "traditional")],
)
def test_keys_of_the_stack_in_every_form(kind, form):
    key = USER_KEYS[kind]()
    text = key.private_bytes(*FORMS[form], serialization.NoEncryption()).decode()
    public = key.public_key().public_bytes(serialization.Encoding.OpenSSH, serialization.PublicFormat.OpenSSH).decode()
    made = server(users=[public])
    # As configuration keeps it, without its last line break
    with connect(target(made, private_key=text.strip())) as transport:
        assert transport.is_authenticated()


@pytest.mark.parametrize(
    "text", ["", "nonsense", "-----BEGIN OPENSSH PRIVATE KEY-----\nAAAA\n-----END OPENSSH PRIVATE KEY-----"]
)
def test_invalid_private_key_is_reported_without_its_text(text):
    with pytest.raises(InfraError, match="infra:sshPrivateKey is not a private key") as refused:
        private_key(target(server(), private_key=text))
    assert "AAAA" not in str(refused.value) and "nonsense" not in str(refused.value)


def test_a_key_with_a_passphrase_is_refused():
    key = ed25519.Ed25519PrivateKey.generate()
    text = key.private_bytes(*FORMS["OpenSSH"], serialization.BestAvailableEncryption(b"x")).decode()
    with pytest.raises(InfraError, match="has a passphrase"):
        private_key(target(server(), private_key=text))


@pytest.mark.parametrize("line", ["", "trust me", "ssh-dss AAAA", "ssh-ed25519 ???", "ssh-ed25519"])
def test_invalid_host_key_is_reported(line):
    with (
        pytest.raises(InfraError, match="is not a public key of a supported type: ssh-ed25519"),
        connect(target(server(), host_key=line)),
    ):
        pass
