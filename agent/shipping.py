"""Sends a host's journal to a server (agent/receivers.py), the secrets that the host knows masked."""

from __future__ import annotations

import json
import re
from collections.abc import Callable

from agent import quoting, receivers, store, streams
from agent.documents.shipping import ShippingNote
from agent.outcome import Mask, Refused
from agent.shapes import object_of
from agent.world import World

CONFIG = "/etc/infra/logs.json"
TOKEN_FILE, TOKEN = "/etc/infra/logs.env", "TOKEN"
CURSOR = f"{store.STATE}/logs-cursor"
OWN = "infra-logs.service"
FIELDS = (
    "MESSAGE", "PRIORITY", "SYSLOG_FACILITY", "SYSLOG_IDENTIFIER", "CONTAINER_NAME", "_SYSTEMD_UNIT",
    "_SYSTEMD_USER_UNIT", "_PID",
)  # fmt: skip
PAUSES = (1.0, 5.0, 15.0, 60.0)  # seconds before the next attempt
SAVED = 5.0  # seconds after which it is noted down again how far it came
OLDEST = 86400.0  # seconds after which it begins with new lines: of older ones it may not know each secret any more
REPEATED = 3600.0  # seconds after which it is said again that lines are refused
KNOWN_CURSOR = re.compile(r"[a-z]=[0-9a-f]+(;[a-z]=[0-9a-f]+)+")


def run(world: World, say: Callable[[str], None], connect: receivers.Connect = streams.connect) -> None:
    """For as long as the journal is followed: systemd starts it again after that."""
    config = json.loads(world.read(CONFIG) or b"{}")
    Shipment(world, receivers.receiver_for(config, _token(world), connect), say).forward()


def _token(world: World) -> str:
    """What the server knows this host by; "" where it asks for nothing."""
    lines = (world.read(TOKEN_FILE) or b"").decode(errors="replace").splitlines()
    return next((line.split("=", 1)[1].strip("'") for line in lines if line.startswith(f"{TOKEN}=")), "")


class Shipment:
    """What is sent to one server. Each line is sent, and acknowledged where its receiver does that, before it is noted
    down: after a restart the latest ones come a second time, and none is left out."""

    def __init__(self, world: World, receiver: receivers.Receiver, say: Callable[[str], None]) -> None:
        self.world, self.receiver, self.say = world, receiver, say
        self.releases: tuple[list[str], bytes | None] | None = None
        self.secrets: set[str] = set()
        self.mask = Mask([])
        self.lines: list[receivers.Line] = []
        self.size, self.begun_at = 0, world.now()
        self.is_away = False
        self.refused_count, self.refused_at = 0, -REPEATED
        self.cursor, self.since = self._read_note()
        self.saved_cursor, self.saved_at = self.cursor, world.now()

    def _read_note(self) -> tuple[str, float]:
        """How far it came, or since when nothing has been taken; "" and 0 where that was on the way to another server,
        or too long ago."""
        try:
            parsed: object = json.loads(self.world.read(CURSOR) or b"{}")
        except (ValueError, RecursionError):
            parsed = None
        note = object_of(parsed)
        cursor, at = note.get("cursor"), note.get("at")
        if not isinstance(at, (int, float)) or abs(self.world.wall() - at) > OLDEST:
            return "", 0
        if note.get("to") != self.receiver.to or not isinstance(cursor, str):
            return "", 0
        return cursor, 0 if cursor else at

    def forward(self) -> None:
        if self.receiver.acknowledges and not self.cursor and not self.since:
            # What comes before the first line is taken is sent after a restart too
            self._note()
        for line in self.world.stream(*self._command(), pause=self.receiver.pause):
            if line is not None:
                self._take(line)
            if line is None or self._is_due():
                self._flush()
            if line is None or self.world.now() - self.saved_at > SAVED:
                self._save()
        self._flush()

    def _command(self) -> list[str]:
        begin = ["-n", "0"]
        if KNOWN_CURSOR.fullmatch(self.cursor):
            begin = [f"--after-cursor={self.cursor}", "--no-tail"]
        elif self.since:
            begin = [f"--since=@{int(self.since)}", "--no-tail"]
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
            if not self.lines:
                self.begun_at = self.world.now()
            self.lines.append(self.receiver.line(fields, self._current_mask()))
            self.size += len(self.lines[-1].content)

    def _is_due(self) -> bool:
        is_full = len(self.lines) >= self.receiver.most_lines or self.size >= receivers.MOST_BYTES
        return is_full or self.world.now() - self.begun_at >= self.receiver.pause

    def _flush(self) -> None:
        lines, self.lines, self.size = self.lines, [], 0
        if lines:
            self._send(lines)

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

    def _send(self, lines: list[receivers.Line]) -> None:
        """Returns once they are sent, however long that takes: the journal keeps what comes meanwhile. What the server
        never takes is left out, and what is too much at once goes in two parts."""
        attempts = 0
        while True:
            try:
                self.receiver.send(lines)
                break
            except receivers.NotTaken as refusal:
                if refusal.is_too_large and len(lines) > 1:
                    self._say_again()
                    middle = len(lines) // 2
                    self._send(lines[:middle])
                    self._send(lines[middle:])
                    return
                self._say_refused(refusal)
                break
            except (OSError, ValueError, Refused, receivers.NotNow) as error:
                self.receiver.close()
                if not self.is_away:
                    self.is_away = True
                    reason = str(error) if isinstance(error, receivers.NotNow) else quoting.error(error)
                    self.say(f"logs cannot be sent to {self.receiver.to}: {reason}; it is tried again")
                self.world.sleep(PAUSES[min(attempts, len(PAUSES) - 1)])
                # What releases bring and take meanwhile may be in lines that wait
                self._current_mask()
                attempts += 1
        self._say_again()
        self.cursor = lines[-1].cursor or self.cursor

    def _say_again(self) -> None:
        if self.is_away:
            self.say(f"{self.receiver.config['host']} takes logs again")
        self.is_away = False

    def _say_refused(self, refusal: receivers.NotTaken) -> None:
        """Once, and again after a while with how many there were: each could be one more line of the journal."""
        self.refused_count += refusal.count
        if self.world.now() - self.refused_at < REPEATED:
            return
        count = quoting.count(self.refused_count, "line")
        self.say(f"{self.receiver.to} refuses up to {count} for good: {refusal}; left out, the journal here has them")
        self.refused_count, self.refused_at = 0, self.world.now()

    def _save(self) -> None:
        self.saved_at = self.world.now()
        if self.cursor != self.saved_cursor:
            self._note()

    def _note(self) -> None:
        try:
            note: ShippingNote = {"cursor": self.cursor, "to": self.receiver.to, "at": self.world.wall()}
            self.world.write(CURSOR, json.dumps(note).encode(), 0o600, "root", "root")
        except OSError as error:
            # Logs go on without it
            self.say(f"{CURSOR} cannot be written: {quoting.error(error)}")
        self.saved_cursor = self.cursor
