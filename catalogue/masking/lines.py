"""Puts marks in place of secrets, line by line, in the formats of what a host has. What is not understood for sure is
masked: an environment's entry that is not one plain line loses its value."""

from __future__ import annotations

import hmac
import re
from collections.abc import Callable
from functools import lru_cache

from .detectors import HEADERS, OF_COMMANDS, OF_LINES, is_option_secret, mask_line
from .names import (
    DIGEST,
    MARK,
    MARKED,
    NAME,
    PGPASS,
    QUOTED,
    SHAPES,
    WORD,
    is_secrets_name,
    looks_secret,
    with_letters,
)  # fmt: skip
from .nested_secrets import end_of_brackets, end_within, items_before, mask_nested, quoted_mark, says_nothing
from .proxies import MAP, STATEMENT

GOES_ON = re.compile(r"[:=][ \t]*(?:[|>][-+0-9]*[ \t]*(?:#.*)?|(?P<closing>\"{3}|'{3}|[\"'])(?!.*(?P=closing)).*)$")
# With a space after a colon, or a quote before it: FOLDER:/FOLDER is none. A run of letters
# is read from its begin alone
ASSIGNED = re.compile(
    rf"(?<![A-Za-z0-9_.-])[0-9-]*(?P<name>{WORD})"
    r"(?:[\"']?\]?[ \t]*(?:[!+]?=|!?~\*?(?=[ \t]))|[\"']?[ \t]*:(?=[ \t])|[\"']:)[ \t]*"
    r"(?=(?P<value>.*\S.*)$)"
)
REMEMBERED = 4096  # lines
TOO_LONG = re.compile(r"[^\n]{8193,}")
# Masked already, or on the lines below
UNSAID = re.compile(rf"[\"']?{MARK}\w*[\"']?(?:[\s,;}}\])]|$)|[{{\[(]\s*$")
ENDED = re.compile(r"[\s,;}\])]|$")
ONE_QUOTED = re.compile(rf"(?P<quoted>{QUOTED})(?P<rest>[\s,;}}\])]*)")
CREDENTIAL = re.compile(r"(\s*[#;]?\s*SetCredential(?:Encrypted)?\s*=\s*[^:]*:?)(.*)")
VARIABLE = re.compile(
    rf"(?:(?P<quote>[\"'])|(?<![A-Za-z0-9_.]))(?P<name>{WORD})="
    r"(?P<value>(?(quote)(?:\\.|(?!(?P=quote))[^\\])*|(?:\\.|\"(?:[^\"\\]|\\.)*\"|'[^']*'|[^\s\"'\\]|[\"'\\])*))"
    r"(?(quote)(?P=quote))"
)
BLOCK = re.compile(r"^(?P<indent>[ ]*)(?:- )?(?:environment|args)[ ]*:(?P<rest>.*)$")
FLOW = re.compile(r"\b(?:environment|args)[\"']?[ ]*:[ ]*(?:[&!]\S+[ ]+)*[{\[]")
IN_FLOW = re.compile(r"\"(?:[^\"\\]|\\.)*\"|'[^']*'")
ENTRY = re.compile(
    rf"^(?P<indent>[ ]*)(?P<item>- +)?(?P<quote>[\"']?)(?P<name>{WORD})"
    r"(?P<sep>(?P=quote)[ ]*:(?:[ ]+|$)|=)(?P<value>.*)$"
)
OPENED = re.compile(rf"(?:^|[\s,\[\"'])--?(?P<name>{WORD})[\"']?,?(?:\s+#.*|\s*\\)?\s*$")
NEXT = re.compile(rf"(?P<head>[ ]*(?P<item>- +)?)(?P<value>(?(item).*|(?:{QUOTED}|[^,\]]*)))(?P<rest>.*)")
ENDS = re.compile(r"[;{}][;{}\s]*$")
SCALAR = re.compile(r"\"[^\"\\]*\"|'[^']*'|[^\s\"'|>&*{\[!%@`][^#]*")


# Public by nature: base64 of an ASN.1 sequence, in which any letters can come together
CERTIFICATES = re.compile(
    r"(?:-----BEGIN (CERTIFICATE|X509 CRL|PUBLIC KEY)-----\n(?=M[A-Z])(?:[A-Za-z0-9+/=]{1,76}\n)+-----END \1-----\s*)+"
)


class Masker:
    """Puts a mark in place of what looks like a secret. With a key the mark changes with the value, and without the key
    values cannot be tried against it; without one every mark is the same."""

    def __init__(self, key: bytes | None = None) -> None:
        self._key = key
        # Files of many services say the same in most of their lines
        self._plain = lru_cache(maxsize=REMEMBERED)(self._mask_line)
        self._of_unit = lru_cache(maxsize=REMEMBERED)(self._mask_line_of_unit)

    def _mark(self, value: str) -> str:
        if self._key is None:
            return MARK
        if already := MARKED.fullmatch(value):
            return already[1]
        return MARK + hmac.new(self._key, value.encode("utf-8", "surrogateescape"), "sha256").hexdigest()[:DIGEST]

    def mask_secrets(self, path: str, text: str) -> str:
        """A file's text without what looks like a secret. Masks over-long lines whole. Decodes character
        escapes; returns the decoded text if it contains a secret."""
        masked, unescaped = self._mask_once(path, text), with_letters(text)
        if unescaped == text or (plain := self._mask_once(path, unescaped)) == with_letters(masked):
            return masked
        return plain

    def _mask_once(self, path: str, text: str) -> str:
        if CERTIFICATES.fullmatch(text):
            return text
        text = TOO_LONG.sub(lambda match: self._mark(match[0]), text)
        for shape in SHAPES:
            text = shape.sub(lambda match: self._mark(match[0]), text)
        if path.rsplit("/", 1)[-1] in (".pgpass", "pgpass"):
            text = PGPASS.sub(lambda match: match["head"] + self._mark(match["value"]), text)
        text = mask_nested(path, text, self._mark)
        if path.endswith((".yml", ".yaml")):
            return "".join(f"{line}\n" for line in self._compose(_lines_of(text)))
        ending = "\n" if text.endswith("\n") else ""
        of_systemd = re.search(r"\.(service|timer|socket|path|mount|slice)$|/systemd/.*\.conf$|\.d/[^/]+\.conf$", path)
        if of_systemd and re.search(r"^\[[A-Z]\w+\]", text, re.MULTILINE):
            # A comment may stand inside a line that goes on
            whole = re.sub(r"\\\n(?:[ \t]*[#;].*\n)*[ \t]*", " ", text)
            return "\n".join(self._of_unit(line) for line in _lines_of(whole)) + ending
        text = STATEMENT.sub(
            lambda match: match["before"] + HEADERS.mask(match["rest"], self._mark), MAP.sub(self._map, text)
        )
        # A statement of Nginx's ends where it ended: without its end the next one would be a part of it
        masked_lines = self._text(_lines_of(text), ENDS if "/nginx/" in path else None)
        return "\n".join(masked_lines) + ending

    def _text(self, lines: list[str], ends: re.Pattern[str] | None) -> list[str]:
        """Lines of any other file; a value can go on below, as YAML's blocks and TOML's long texts do."""
        masked_lines: list[str] = []
        deeper: int | None = None  # lines that are indented more belong to a value that was masked
        closing = ""  # as do all lines to this one
        continued = False  # as does the next line
        for line in lines:
            indent = len(line) - len(line.lstrip())
            if continued or closing or (deeper is not None and (indent > deeper or not line.strip())):
                masked_lines[-1] = self._more(masked_lines[-1], line)
                closing = "" if closing and closing in line else closing
                continued = continued and line.endswith("\\")
                continue
            masked = self._plain(line)
            if ends and masked != line and (end := ends.search(line)) and not masked.endswith(end[0]):
                masked += end[0]
            # A value's line may be continued, as a shell's is
            continued = masked != line and line.endswith("\\")
            goes_on = GOES_ON.search(line) if masked != line else None
            deeper = indent if goes_on and not goes_on["closing"] else None
            closing = (goes_on["closing"] or "") if goes_on else ""
            masked_lines.append(masked)
        return masked_lines

    def _mask_line_of_unit(self, line: str) -> str:
        if match := CREDENTIAL.fullmatch(line):
            return match[1] + self._mark(match[2])
        if re.match(r"\s*[#;]?\s*Environment\s*=", line):
            head, _, rest = line.partition("=")
            return f"{head}={VARIABLE.sub(self._variable, rest)}"
        if re.match(r"\s*[#;]", line) or "=" not in line:
            return self._plain(line)
        # Directives are no secrets, whatever they are called; what is handed to a program may be one
        head, sep, rest = line.partition("=")
        rest = VARIABLE.sub(self._variable, mask_line(rest, OF_COMMANDS, self._mark))
        described = head.strip() in ("Description", "Documentation")
        return head + sep + (rest if described else self._mask_assignments(rest, lambda name, _: is_secrets_name(name)))

    def _variable(self, match: re.Match[str]) -> str:
        quote = match["quote"] or ""
        secret = looks_secret(match["name"], match["value"]) or self._plain(match["value"]) != match["value"]
        return f"{quote}{match['name']}={self._mark(match['value']) if secret else match['value']}{quote}"

    def _map(self, match: re.Match[str]) -> str:
        """What a map compares with and what comes of it; what it includes would say as much."""
        if not any(NAME.search(name) for name in match["names"].split()):
            return match[0]
        bare = re.sub(rf"({QUOTED})|#[^\n]*", lambda one: one[1] or "", match["body"])
        bare = re.sub(r"\binclude\s+[^;]*;", "", bare)
        dropped = f" # {self._mark(match['body'])}\n" if self._key and bare != match["body"] else ""
        keywords = ("default", "hostnames", "volatile", "0", "1")
        words = re.compile(rf"{QUOTED}|[^\s;\"']+")
        masked_body = words.sub(lambda one: one[0] if one[0] in keywords else self._mark(one[0]), bare)
        return match["head"] + dropped + masked_body

    def _mask_line(self, line: str, before: str = "") -> str:
        line = mask_line(line, OF_LINES, self._mark, before)
        # What is masked further on in a line is no matter of the names before it
        return self._mask_assignments(
            line, lambda name, value: looks_secret(name, value.replace(MARK, "")) or MARK in value.split()[0]
        )

    def _mask_assignments(self, line: str, judge: Callable[[str, str], bool]) -> str:
        """Up to the line's end, where no quote or bracket says where a value ends: only its program knows."""
        result, position = "", 0
        for match in ASSIGNED.finditer(line):
            value = match["value"]
            if match.start() < position or _is_done(value) or not judge(match["name"], value):
                continue
            head, last = line[: match.end()], value.rstrip()[-1]
            result += line[position : match.end()]
            if end := end_within(head, value):
                result, position = result + quoted_mark(value[:end], self._mark), match.end() + end
            elif one := ONE_QUOTED.fullmatch(value):
                return result + quoted_mark(one["quoted"], self._mark) + one["rest"]
            else:
                # A quote that was opened before is still closed
                return result + self._mark(value) + (last if last in "\"'" and head.count(last) % 2 else "")
        return result + line[position:]

    def _compose(self, lines: list[str]) -> list[str]:
        """YAML line by line, since the host may have nothing that reads it."""
        masked_lines: list[str] = []
        inside: int | None = None  # the indent of the block of variables that this line is in
        hidden: int | None = None  # lines that stand deeper belong to a value that was masked
        flow = ""
        for line in lines:
            indent = len(line) - len(line.lstrip(" "))
            if flow:
                flow = self._flow(f"{flow} {line}", masked_lines)
                continue
            if hidden is not None and (indent > hidden or not line.strip()):
                masked_lines[-1:] = [self._more(masked, line) for masked in masked_lines[-1:]]
                continue
            hidden = None
            item = line.lstrip().startswith("- ")
            if inside is not None and line.strip() and (indent < inside or (indent == inside and not item)):
                inside = None
            head = BLOCK.match(line)
            if inside is None and FLOW.search(line):
                flow = self._flow(line, masked_lines)
            elif inside is None and head:
                rest = re.sub(r"^\s*(&\S+)?\s*(#.*)?$", "", head["rest"])
                inside = indent + (2 if line.lstrip().startswith("- ") else 0)
                # Another one's, by its anchor; anything else is hidden
                another = not rest or rest.strip().startswith("*")
                masked_lines.append(line if another else f"{line.partition(':')[0]}: {self._mark(rest)}")
            elif inside is not None and line.strip():
                masked = self._entry(line)
                hidden = indent if masked != line or ENTRY.match(line) else None
                masked_lines.append(masked)
            else:
                masked = self._next(line, masked_lines) or self._plain(line, items_before(masked_lines))
                hidden = indent if masked != line else None
                masked_lines.append(masked)
        # What never closed took the rest with it: a reader is to notice
        return [*masked_lines, "["] if flow else masked_lines

    def _more(self, masked: str, line: str) -> str:
        """A line whose last mark stands for one more line of the text."""
        before, mark, rest = masked.rpartition(MARK)
        if not mark or self._key is None:
            return masked
        digest, rest = rest[:DIGEST], rest[DIGEST:]
        return f"{before}{self._mark(f'{digest} {line.strip()}')}{rest}"

    def _next(self, line: str, masked_lines: list[str]) -> str:
        """A line that is the value of an option on the line before; "" for any other."""
        if says_nothing(line):
            return ""
        opened = OPENED.search(next((text for text in reversed(masked_lines[-9:]) if not says_nothing(text)), ""))
        match = NEXT.fullmatch(line)
        if not opened or not match or not is_option_secret(opened["name"], match["value"]):
            return ""
        return f"{match['head']}{self._mark(match['value'])}{self._plain(match['rest'])}"

    def _flow(self, text: str, masked_lines: list[str]) -> str:
        """`environment: {…}`: the names, once it is whole; else what there is of it."""
        bare = IN_FLOW.sub("", text)
        if "'" in bare or '"' in bare or bare.count("{") + bare.count("[") > bare.count("}") + bare.count("]"):
            return text
        head, _, rest = text.partition(":")
        # Of what is quoted, only a name: a value may look like more of them
        flow = IN_FLOW.sub(lambda one: "".join(re.findall(rf"^.({WORD}=?)", one[0])) if _names_one(one) else "", rest)
        names = re.findall(rf"[{{\[,]\s*({WORD})\s*[:=]", flow)
        masked_lines.append(f"{head}: {{{', '.join(f'{name}: {self._mark(rest)}' for name in names)}}}")
        return ""

    def _entry(self, line: str) -> str:
        """A line of a block of variables: as it is when it is one plain value, else its name alone; a comment in place
        of anything else."""
        indent = line[: len(line) - len(line.lstrip())]
        if re.match(r"\s*(#|<<\s*:\s*\*\w+\s*$)", line):
            return f"{indent}# {self._mark(line.strip())}" if line.lstrip().startswith("#") else line
        if re.match(rf"^\s*- +[\"']?{WORD}[\"']?\s*$", line):
            return line
        match = ENTRY.match(line)
        if not match:
            return f"{indent}# {self._mark(line.strip())}"
        value = match["value"].strip()
        if match["sep"] == "=" and match["quote"]:
            value = value.removesuffix(match["quote"])
        plain = not value or SCALAR.fullmatch(value)
        if plain and not looks_secret(match["name"], value) and self._plain(value) == value:
            return line
        sep = match["sep"] if match["sep"] == "=" or match["sep"].endswith(" ") else f"{match['sep']} "
        end = match["quote"] if match["sep"] == "=" else ""
        return f"{match['indent']}{match['item'] or ''}{match['quote']}{match['name']}{sep}{self._mark(value)}{end}"


def _lines_of(text: str) -> list[str]:
    """Lines by their newlines alone: a carriage return stays, and is seen in a preview."""
    return text.removesuffix("\n").split("\n") if text else []


def _is_done(value: str) -> bool:
    """Whether a value has its mark already: as a whole, or in each of its parts that stand in brackets."""
    if UNSAID.match(value):
        return True
    return value[0] in "{[(" and ENDED.match(value, end_of_brackets(value, 0) + 1) is not None


def _names_one(quoted: re.Match[str]) -> bool:
    """Whether a quoted string of a flow is a name, or NAME=value."""
    key = re.match(r"\s*:", quoted.string[quoted.end() :]) and re.fullmatch(f".{WORD}.", quoted[0])
    return bool(key or re.match(f".{WORD}=", quoted[0]))
