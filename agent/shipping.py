"""Sends a host's journal to a syslog server (RFC 5424, framed as RFC 6587), the secrets that the host knows masked."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Callable

from agent import quoting, store, streams
from agent.documents.shipping import LogServer, ShippingNote
from agent.journal_fields import text_of
from agent.outcome import Mask, Refused
from agent.shapes import JsonObject, object_of
from agent.world import World

CONFIG = "/etc/infra/logs.json"
CURSOR = f"{store.STATE}/logs-cursor"
OWN = "infra-logs.service"
FIELDS = (
    "MESSAGE", "PRIORITY", "SYSLOG_FACILITY", "SYSLOG_IDENTIFIER", "CONTAINER_NAME", "_SYSTEMD_UNIT",
    "_SYSTEMD_USER_UNIT", "_PID",
)  # fmt: skip
PAUSES = (1.0, 5.0, 15.0, 60.0)  # seconds before the next attempt
SAVED = 5.0  # seconds after which it is noted down again how far it came
OLDEST = 86400.0  # seconds after which it begins with new lines: of older ones it may not know each secret any more
LONGEST = 16384  # characters of a line
DAEMON, INFORMATION = 3, 6  # what a line is that says nothing of it
KNOWN_CURSOR = re.compile(r"[a-z]=[0-9a-f]+(;[a-z]=[0-9a-f]+)+")
Connect = Callable[[str, int, bool, str], streams.Stream]


def run(world: World, say: Callable[[str], None], connect: Connect = streams.connect) -> None:
    """For as long as the journal is followed: systemd starts it again after that."""
    Shipment(world, json.loads(world.read(CONFIG) or b"{}"), say, connect).forward()


class Shipment:
    """What is sent to one server. Each line is sent before it is noted down, so that after a restart the latest ones
    come a second time, and none is left out."""

    def __init__(self, world: World, config: LogServer, say: Callable[[str], None], connect: Connect) -> None:
        self.world, self.config, self.say, self.connect = world, config, say, connect
        self.stream: streams.Stream | None = None
        self.releases: tuple[list[str], bytes | None] | None = None
        self.secrets: set[str] = set()
        self.mask = Mask([])
        self.to = f"{config['host']}:{config['port']}"
        self.cursor = self.saved_cursor = self._read_cursor()
        self.saved_at = world.now()

    def _read_cursor(self) -> str:
        """How far it came; "" where that was on the way to another server, or too long ago."""
        try:
            parsed: object = json.loads(self.world.read(CURSOR) or b"{}")
        except (ValueError, RecursionError):
            parsed = None
        note = object_of(parsed)
        cursor, at = note.get("cursor"), note.get("at")
        is_recent = isinstance(at, (int, float)) and abs(self.world.wall() - at) <= OLDEST
        return cursor if is_recent and note.get("to") == self.to and isinstance(cursor, str) else ""

    def forward(self) -> None:
        for line in self.world.stream(*self._command()):
            if line is not None:
                self._take(line)
            if line is None or self.world.now() - self.saved_at > SAVED:
                self._save()

    def _command(self) -> list[str]:
        begin = [f"--after-cursor={self.cursor}", "--no-tail"] if KNOWN_CURSOR.fullmatch(self.cursor) else ["-n", "0"]
        form = ["-o", "json", f"--output-fields={','.join(FIELDS)}", "--no-pager", "-q", "--all"]
        return ["journalctl", "-f", *begin, *form]

    def _take(self, line: str) -> None:
        try:
            parsed: object = json.loads(line)
        except (ValueError, RecursionError):
            return
        fields = object_of(parsed)
        # What it says of a server that is away would be one more line each time
        if fields and fields.get("_SYSTEMD_UNIT") != OWN:
            self._send(frame(fields, self.config["name"], self._current_mask()))
            self.cursor = str(fields.get("__CURSOR", self.cursor))

    def _current_mask(self) -> Mask:
        """A release's secrets are on the disk before one of its services or steps has them. Those that were there stay
        in the mask: lines that have them may still be to come."""
        ids = self.world.listing(store.RELEASES)
        releases = [id for id in ids if self.world.exists(f"{store.RELEASES}/{id}/manifest.json")]
        present = (releases, self.world.read(store.NOTED))
        if present != self.releases:
            self.secrets |= store.known_secrets(self.world)
            self.mask, self.releases = Mask(self.secrets), present
        return self.mask

    def _send(self, message: bytes) -> None:
        """Returns once it is sent, however long that takes: the journal keeps what comes meanwhile."""
        attempts = 0
        while True:
            try:
                if self.stream is None or self.stream.is_closed():
                    self._close()
                    config = self.config
                    self.stream = self.connect(config["host"], config["port"], config["tls"], config["ca"])
                self.stream.send(message)
                if attempts:
                    self.say(f"{self.config['host']} takes logs again")
                return
            except (OSError, ValueError, Refused) as error:
                self._close()
                if not attempts:
                    self.say(f"logs cannot be sent to {self.to}: {quoting.error(error)}; it is tried again")
                self.world.sleep(PAUSES[min(attempts, len(PAUSES) - 1)])
                # What releases bring and take meanwhile may be in lines that wait
                self._current_mask()
                attempts += 1

    def _close(self) -> None:
        if self.stream is not None:
            self.stream.close()
        self.stream = None

    def _save(self) -> None:
        self.saved_at = self.world.now()
        if self.cursor == self.saved_cursor:
            return
        try:
            note: ShippingNote = {"cursor": self.cursor, "to": self.to, "at": self.world.wall()}
            self.world.write(CURSOR, json.dumps(note).encode(), 0o600, "root", "root")
        except OSError as error:
            # Logs go on without it
            self.say(f"{CURSOR} cannot be written: {quoting.error(error)}")
        self.saved_cursor = self.cursor


def frame(fields: JsonObject, host: str, mask: Mask) -> bytes:
    """An entry of the journal as a message of syslog, with its length before it."""
    level = 8 * _number(fields.get("SYSLOG_FACILITY"), 23, DAEMON) + _number(fields.get("PRIORITY"), 7, INFORMATION)
    micros = _number(fields.get("__REALTIME_TIMESTAMP"), 1 << 62, 0)
    at = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(micros // 1_000_000)) + f".{micros % 1_000_000:06d}Z"
    names = ("CONTAINER_NAME", "SYSLOG_IDENTIFIER", "_SYSTEMD_USER_UNIT", "_SYSTEMD_UNIT")
    origin = next((name for name in (fields.get(field) for field in names) if isinstance(name, str) and name), "-")
    words = (mask.all_of(str(text)) for text in (origin, fields.get("_PID", "-")))
    application, process = (re.sub(r"[^!-~]", "_", word) for word in words)
    message = text_of(fields.get("MESSAGE"))
    text = "[not text]" if message is None else mask.all_of(message)[:LONGEST].replace("\n", "#012")
    line = f"<{level}>1 {at} {host} {application[:48]} {process[:128]} - - {text}".encode(errors="replace")
    return f"{len(line)} ".encode() + line


def _number(value: object, most: int, otherwise: int) -> int:
    text = value if isinstance(value, str) else ""
    return int(text) if text.isascii() and text.isdecimal() and len(text) < 20 and int(text) <= most else otherwise
