"""A real SSH server on loopback that runs nothing: a function of the test's answers each command."""

import contextlib
import io
import socket
import threading
from collections.abc import Callable

import paramiko

from infra.init import key_pair

Answer = Callable[[str, str, Callable[[str], None]], int | None]


class Server(paramiko.ServerInterface):
    """`answer(command, standard input, say)` says lines and returns the exit code; None cuts the connection. It has the
    host key `key` (an Ed25519 one of its own where there is none), and lets in who has one of `users`, public keys in
    authorized_keys form; everybody where there are none."""

    def __init__(self, answer: Answer, key: paramiko.PKey | None = None, users: list[str] | None = None) -> None:
        self.answer, self.users = answer, users
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
        self.commands.append(command.decode())
        threading.Thread(target=self._run, args=(channel, command.decode()), daemon=True).start()
        return True

    def _run(self, channel, command):
        given = b""
        while data := channel.recv(65536):
            given += data
        # Who asked may have gone
        with contextlib.suppress(EOFError, OSError):
            code = self.answer(command, given.decode(), lambda line: channel.sendall(f"{line}\n".encode()))
            if code is None:
                channel.get_transport().close()
                return
            channel.sendall_stderr(b"progress\n")
            channel.send_exit_status(code)
            channel.close()
