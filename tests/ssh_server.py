"""A real SSH server on loopback that runs nothing: a function of the test's answers each command."""

import io
import socket
import threading
from collections.abc import Callable

import paramiko

from infra.init import key_pair

Answer = Callable[[str, str, Callable[[str], None]], int | None]


class Server(paramiko.ServerInterface):
    """`answer(command, standard input, say)` says lines and returns the exit code; None cuts the connection."""

    def __init__(self, answer: Answer) -> None:
        self.answer = answer
        self.logins = 0
        self.commands: list[str] = []
        self.host_private, self.host_public = key_pair("host")
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
        transport.add_server_key(paramiko.Ed25519Key.from_private_key(io.StringIO(self.host_private)))
        try:
            transport.start_server(server=self)
        except (paramiko.SSHException, EOFError, OSError):
            return
        transport.join(30)

    def check_auth_publickey(self, username, key):
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
        code = self.answer(command, given.decode(), lambda line: channel.sendall(f"{line}\n".encode()))
        if code is None:
            channel.get_transport().close()
            return
        channel.sendall_stderr(b"progress\n")
        channel.send_exit_status(code)
        channel.close()
