"""A login that never becomes a connection, or ends in something else than what was asked: at once, with the server's
reason, and nothing was sent. Against real SSH servers of the test's own."""

import contextlib
import getpass
import socket
import threading
from functools import partial

import paramiko
import pytest
from paramiko.transport import SecurityOptions

from infra import deliver, delivery, remote
from infra.errors import InfraError
from infra.ready import Ready
from infra.remote import ask
from infra.ssh import ConnectionLost
from tests import ssh_server
from tests.ssh_server import Server

REQUEST = {
    "release": "r1", "receive": "", "archive": "", "secrets": {"web": {"TOKEN": "hunter2"}}, "confirm": 60,
    "roots": [], "images": [], "owner": "infra-prod.web1",
}  # fmt: skip
APPLIED = '{"result": {"outcome": "applied", "code": 0, "line": "applied on web1", "release": "r1"}}'
PREPARATION = {"limit": 600, "first": "", "script": "echo hello", "arguments": []}


# An account that needs sudo
target = partial(ssh_server.target, user="admin")


class Login(Server):
    """Runs something else than what it is asked to, which prints `out` and `errors` and ends with `code`; it prints on
    and on with `rounds`, and with the code None it does not end. What it was sent is in `given`."""

    def __init__(self, out: bytes = b"", errors: bytes = b"", code: int | None = 0, rounds: int = 1) -> None:
        self.out, self.errors, self.code, self.rounds = out, errors, code, rounds
        self.given = bytearray()
        self.is_over = threading.Event()
        super().__init__(lambda *_: 0)

    def _run(self, channel, command):
        # A server answers the request before what it starts can end
        threading.Event().wait(0.1)
        channel.settimeout(0.5)
        with contextlib.suppress(OSError, EOFError):
            for _ in range(self.rounds):
                channel.sendall(self.out)
            channel.sendall_stderr(self.errors)
            with contextlib.suppress(TimeoutError):
                self.given += channel.recv(65536)
            if self.code is None:
                self.is_over.wait(60)
                return
            channel.send_exit_status(self.code)
            channel.close()


class NoCommands(Server):
    """Lets in, and runs nothing (a network device, `restrict`)."""

    def check_channel_exec_request(self, channel, command):
        return False


class NoSessions(Server):
    """Lets in for forwarding alone (MaxSessions 0), or has too many sessions."""

    def __init__(self, code: int) -> None:
        self.code = code
        super().__init__(lambda *_: 0)

    def check_channel_request(self, kind, chanid):
        return self.code


LOGINS = {
    "nologin": (lambda: Login(b"This account is currently not available.\n", code=1), "This account is currently not available."),
    "another user": (
        lambda: Login(b'Please login as the user "ubuntu" rather than the user "root".\n\n', code=142),
        'Please login as the user "ubuntu" rather than the user "root".',
    ),
    "a forced command that succeeds": (lambda: Login(b"backup done\n"), "backup done"),
    "one that prints what an agent would": (lambda: Login(f"{APPLIED}\n".encode()), "applied on web1"),
    "one that says nothing": (lambda: Login(), "exit code 0"),
    "one that fails and says nothing": (lambda: Login(code=3), "exit code 3"),
    "one that prints on and on": (lambda: Login(b"y\n" * 1000, rounds=1000), "it prints 'y' without end"),
    "no python3": (lambda: Login(errors=b"sh: 1: python3: not found\n", code=127), "sh: 1: python3: not found"),
    "sudo": (lambda: Login(errors=b"sudo: a password is required\n", code=1), "sudo: a password is required"),
    "no commands": (lambda: NoCommands(lambda *_: 0), "Channel closed"),
    "no sessions": (
        lambda: NoSessions(paramiko.OPEN_FAILED_ADMINISTRATIVELY_PROHIBITED),
        "accepted the login, but opened no session (Administratively prohibited); nothing was sent. Check "
        "MaxSessions in its sshd_config",
    ),
    "too many sessions": (lambda: NoSessions(paramiko.OPEN_FAILED_CONNECT_FAILED), "opened no session (Connect failed)"),
    "control characters": (lambda: Login(b"\x1b]0;x\x07 no\n", code=1), "\\x1b]0;x\\x07 no"),
}  # fmt: skip


@pytest.mark.parametrize("kind", LOGINS)
def test_a_login_that_runs_something_else_is_reported_at_once_and_gets_nothing(kind):
    make, words = LOGINS[kind]
    made = make()
    work = deliver.Delivery()
    ended = work.deliver({**REQUEST, "target": vars(target(made))}, print)
    assert ended["line"].startswith("refused on web1, nothing touched: web1 (admin@127.0.0.1:")
    assert words in ended["line"] and "nothing was sent" in ended["line"] and ended["code"] == 3
    # At once: it was not asked a second time, and is not waited for by the next update
    assert made.logins == 1 and not getattr(made, "given", b"")
    assert work.job and not work.job.is_sent and "nothing touched" in work.interruption_line()
    with pytest.raises(remote.NotStarted, match="nothing was sent"):
        ask(target(make()), "status")


@pytest.mark.parametrize("kind", [kind for kind in LOGINS if kind not in ("no python3", "sudo")])
def test_host_with_a_forced_command_is_not_prepared(kind):
    make, words = LOGINS[kind]
    made = make()
    ended = Ready(pause=0.05).wait(target(made), PREPARATION, print)
    assert ended.code == 1 and words in ended.line and made.logins == 1 and not getattr(made, "given", b"")


def test_login_without_output_is_given_up(monkeypatch):
    monkeypatch.setattr(remote, "SILENCE", 1.0)
    made = Login(b"Password for web1: ", code=None)
    try:
        with pytest.raises(remote.NotStarted, match="accepted the login, but did not run the command"):
            ask(target(made), "status")
        assert not made.given
    finally:
        made.is_over.set()


NOISE = {
    "words": b"Welcome to web1\n",
    "JSON": b'{"gone": true}\n{"started": "x"}\n{}\n',
    "a result": f"{APPLIED.replace('applied', 'all done')}\n".encode(),
    "no line's end": b"> ",
    "another mark": b'infra-00000000000000000000000000000000 {"gone": true}\n',
    "no UTF-8": b"\xff\xfe\n",
}


@pytest.mark.parametrize("kind", NOISE)
def test_output_of_a_login_shell_is_ignored(kind):
    def answer(command, given, say):
        for line in ['{"started": "j"}', '{"say": "pulling"}', APPLIED]:
            say(line)
        return 0

    # Text without a line's end comes once, as a prompt does
    made = Server(answer, noise=NOISE[kind] if NOISE[kind].endswith(b"\n") else b"")
    if not made.noise:
        made._run = lambda channel, command: (channel.sendall(NOISE[kind]), Server._run(made, channel, command))
    said: list[str] = []
    ended = delivery.send(target(made), REQUEST, None, lambda urls: None, said.append)
    assert (ended["line"], said, made.logins) == ("applied on web1", ["pulling"], 1)


def test_a_shortage_of_resources_passes():
    made = NoSessions(paramiko.OPEN_FAILED_RESOURCE_SHORTAGE)
    with pytest.raises(ConnectionLost, match="has no resources for another session"):
        ask(target(made), "status")


def test_a_connection_lost_before_the_command_runs_is_the_end():
    class Cut(Server):
        def _run(self, channel, command):
            channel.get_transport().close()

    made = Cut(lambda *_: 0)
    with pytest.raises(ConnectionLost):
        delivery.send(target(made), REQUEST, None, lambda urls: None, print)
    assert made.logins == 1


class Picky(Server):
    """Speaks what `algorithms` says alone."""

    def __init__(self, **algorithms: tuple[str, ...]) -> None:
        self.algorithms = algorithms
        super().__init__(lambda *_: 0)

    def _session(self, client):
        transport = paramiko.Transport(client)
        transport.add_server_key(self.key)
        options = SecurityOptions(transport)
        for name, values in self.algorithms.items():
            setattr(options, name, values)
        with contextlib.suppress(paramiko.SSHException, EOFError, OSError):
            transport.start_server(server=self)
            transport.join(30)


@pytest.mark.parametrize(
    ("kind", "own", "other"),
    [
        ("kex", ("diffie-hellman-group14-sha256",), ("ecdh-sha2-nistp521",)),
        ("ciphers", ("aes128-ctr",), ("aes256-ctr",)),
        ("digests", ("hmac-sha2-256",), ("hmac-sha2-512",)),
    ],
)
def test_no_algorithm_in_common_is_named(monkeypatch, kind, own, other):
    def only(transport):
        options = SecurityOptions(transport)
        # The server of the test asks the same
        if not transport.server_mode:
            setattr(options, kind, own)
        return options

    made = Picky(**{kind: other})
    monkeypatch.setattr(paramiko.Transport, "get_security_options", only)
    ended = Ready(pause=0.05).wait(target(made), PREPARATION, print)
    assert ended.code == 1 and made.logins == 0
    assert "no acceptable" in ended.line and own[0] in ended.line and "sshd_config" in ended.line


class Account(Server):
    """Lets in by a password alone, or asks for one besides, and says why in its banner."""

    more: tuple[str, ...] = ()

    def check_auth_publickey(self, username, key):
        return paramiko.AUTH_PARTIALLY_SUCCESSFUL if self.more else paramiko.AUTH_FAILED

    def get_allowed_auths(self, username):
        return "password"

    def get_banner(self):
        return ("System is going down. Unprivileged users are not permitted to log in anymore.\r\n", "en-US")


def test_a_refused_login_comes_with_the_servers_reason():
    with pytest.raises(InfraError, match=r"rejects the stack's key .*System is going down\. Unprivileged users"):
        ask(target(Account(lambda *_: 0)), "status")
    asks_for_more = Account(lambda *_: 0)
    asks_for_more.more = ("password",)
    with pytest.raises(InfraError, match="accepts the stack's key, but also requires password"):
        ask(target(asks_for_more), "status")


@pytest.mark.parametrize("greeting", [b"Exceeded MaxStartups\r\n", b"HTTP/1.1 400 Bad Request\r\n"])
def test_answer_of_another_protocol_is_shown(greeting):
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def serve():
            client, _ = listener.accept()
            client.sendall(greeting)
            client.close()

        threading.Thread(target=serve, daemon=True).start()
        with pytest.raises(InfraError, match=f"it answered '{greeting.decode().strip()}' instead of SSH"):
            ask(target(Server(lambda *_: 0), port=listener.getsockname()[1]), "status")


def test_an_account_without_a_name_can_release(monkeypatch):
    def nameless():
        raise KeyError("getpwuid(): uid not found: 12345")

    for name in ("GITHUB_ACTOR", "GITLAB_USER_LOGIN"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(getpass, "getuser", nameless)
    assert delivery.who().startswith("uid ")
