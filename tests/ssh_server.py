"""A real SSH server on loopback that runs nothing: a function of the test's answers each command.

It answers as a host does: with the mark of the command first, and before each line of what it runs."""

import contextlib
import hashlib
import io
import json
import re
import socket
import threading
from collections.abc import Callable
from typing import Any

import paramiko

from infra.init import key_pair
from infra.ssh import Target

Answer = Callable[[str, str, Callable[[str], None]], int | None]
# Of a program that takes what it is to run from standard input, and of a script
MARKS = re.compile(
    r"python3 .*?' (?P<word>[0-9a-f]{32}) |printf '%s%s\\n' (?P<one>[0-9a-f]{32}) (?P<other>[0-9a-f]{32}); "
)


class Server(paramiko.ServerInterface):
    """`answer(command, payload, say)` says lines and returns the exit code; None cuts the connection. It has the host
    key `key` (an Ed25519 one of its own where there is none), and lets in who has one of `users`, public keys in
    authorized_keys form; everyone where there are none. Its login shell prints `noise` first, and between lines."""

    def __init__(
        self, answer: Answer, key: paramiko.PKey | None = None, users: list[str] | None = None, noise: bytes = b""
    ) -> None:
        self.answer, self.users, self.noise = answer, users, noise
        self.logins = 0
        self.commands: list[str] = []
        self.key = key or paramiko.Ed25519Key.from_private_key(io.StringIO(key_pair("host")[0]))
        self.host_public = f"{self.key.get_name()} {self.key.get_base64()}"
        self.user_private, _ = key_pair("user")
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        threading.Thread(target=self._serve, daemon=True).start()

    def close(self) -> None:
        self.listener.close()

    def _serve(self) -> None:
        while True:
            try:
                client, _ = self.listener.accept()
            except OSError:
                return
            threading.Thread(target=self._session, args=(client,), daemon=True).start()

    def _session(self, client: socket.socket) -> None:
        transport = paramiko.Transport(client)
        transport.add_server_key(self.key)
        try:
            transport.start_server(server=self)
        except (paramiko.SSHException, EOFError, OSError):
            return
        transport.join(30)

    def check_auth_publickey(self, username, key):
        if self.users is not None and f"{key.get_name()} {key.get_base64()}" not in self.users:
            return paramiko.AUTH_FAILED
        self.logins += 1
        return paramiko.AUTH_SUCCESSFUL

    def get_allowed_auths(self, username):
        return "publickey"

    def check_channel_request(self, kind, chanid):
        return paramiko.OPEN_SUCCEEDED

    def check_channel_exec_request(self, channel, command):
        transport, replied = channel.get_transport(), threading.Event()
        send = transport._send_user_message

        def reply(message):
            send(message)
            transport._send_user_message = send
            replied.set()

        def run():
            # As sshd does: a command that ends at once ends after the answer that it was begun
            replied.wait(10)
            self._run(channel, command.decode())

        transport._send_user_message = reply
        threading.Thread(target=run, daemon=True).start()
        return True

    def _run(self, channel, command):
        # Who asked may have gone
        with contextlib.suppress(EOFError, OSError):
            mark, is_program = begin(channel, command, self.noise)
            command = re.sub(r"^printf '%s%s\\n' \w+ \w+; ", "", command)
            self.commands.append(command)
            given = b""
            while data := channel.recv(65536):
                given += data
            if is_program:
                given = json.dumps(json.loads(given)["payload"]).encode()

            def say(line):
                channel.sendall((f"{mark} {line}\n" if is_program else f"{line}\n").encode() + self.noise)

            code = self.answer(command, given.decode(), say)
            if code is None:
                channel.get_transport().close()
                return
            channel.sendall_stderr(b"progress\n")
            channel.send_exit_status(code)
            channel.close()


def target(made: Server, **values: Any) -> Target:
    """The server as a host of a stack; `values` replace fields."""
    fields = {
        "host": "web1", "address": "127.0.0.1", "port": made.port, "user": "root", "host_key": made.host_public,
        "private_key": made.user_private,
    }  # fmt: skip
    return Target(**{**fields, **values})


def begin(channel, command: str, noise: bytes = b"") -> tuple[str, bool]:
    """Shows that the command runs; its mark, and whether it marks each line."""
    found = MARKS.search(command)
    is_program = bool(found and found["word"])
    if found and is_program:
        mark = hashlib.sha256(found["word"].encode()).hexdigest()
    else:
        mark = f"{found['one']}{found['other']}" if found else ""
    channel.sendall(noise + f"\n{mark}\n".encode())
    return mark, is_program
