"""Secrets whose name stands elsewhere: around them, above them, or in an entry of its own beside them."""

from __future__ import annotations

import itertools
import re
from collections.abc import Callable

from .names import HARMLESS, MARK, OF_PREVIEW, QUOTED, WORD, is_secrets_name, is_setting, looks_secret

Mark = Callable[[str], str]

GAP = r"\s{0,200}"
# `name: {`, `"name": [`, or `name:` with its value on the lines below
OPENING = re.compile(
    rf"(?<![\w.$/@-])[\"']?(?P<name>{WORD})[\"']?[ \t]*(?::|=>?)[ \t]*(?:#[^\n]*)?(?:\r?\n\s*)?"
    rf"(?!{OF_PREVIEW})(?P<bracket>[{{\[(])"
    rf"|^(?P<indent>[ \t]*)(?:- +|[{{\[] *)*[\"']?(?P<above>{WORD})[\"']?[ \t]*[:=][ \t]*"
    r"(?:[&!]\S+[ \t]*)*(?:#[^\n]*)?\r?\n"
    r"(?!\s*[{\[(])",
    re.MULTILINE,
)
# What Compose calls so are names and files
OF_COMPOSE = {"secrets", "configs"}
CLOSING = {"{": "}", "[": "]", "(": ")"}
TOKEN = re.compile(
    rf"(?P<quoted>{QUOTED})|(?P<mark>[{{}}\[\](),;\n])|(?P<space>[ \t\r]+|#[^\n]*)"
    r"|(?P<word>[^\s\"',;{}\[\]()]+|[\"'])"
)
IS_KEY = re.compile(r"[ \t]*(?:=>?|:(?=\s|[\"'{\[\d-]))")
KEY_IN_WORD = re.compile(rf"(?P<key>{WORD}[:=])(?P<value>.*)", re.DOTALL)
LINE = re.compile(
    r"(?P<head>\s*(?:- +)*(?:(?P<name>[\"']?[\w.-]+[\"']?)[ \t]*(?:=|:(?=\s|$))[ \t]*)?)(?P<value>.*?)(?P<rest>[\s,;]*)"
)
EACH_LINE = re.compile(r"[^\n]*\n|[^\n]+")
BRACKETS_ONLY = re.compile(r"[{}\[\]()|>+-]*")
SECTION = re.compile(r"^\[+[ \t]*(?P<name>[^\[\]\n]+?)[ \t]*\]+[ \t]*(?:#.*)?$")
# An entry that says what it is called, and its value before or after that
NAME_KEY, VALUE_KEY = r"[\"']?(?:name|key|var|variable|id)[\"']?", r"[\"']?(?:value|val|content|default)[\"']?"
SCALAR = rf"(?:{QUOTED}|[^\s\"',;}}\]>][^\s,;}}\]>]*)"
NAMED = rf"(?<![\w.-]){NAME_KEY}{GAP}[:=]{GAP}[\"']?(?P<name>{WORD})[\"']?"
BESIDE = (
    re.compile(rf"(?P<head>{NAMED}{GAP}[,;]?{GAP}{VALUE_KEY}{GAP}[:=]{GAP})(?P<value>{SCALAR})", re.IGNORECASE),
    re.compile(
        rf"(?P<head>(?<![\w.-]){VALUE_KEY}{GAP}[:=]{GAP})(?P<value>{SCALAR})(?P<rest>{GAP}[,;]?{GAP}{NAMED})",
        re.IGNORECASE,
    ),
)
ELEMENT = re.compile(rf"(?P<head><(?P<name>{WORD})>{GAP})(?P<value>[^<\s][^<]*?)(?P<rest>{GAP}</)")
# Caddy's certificates by DNS: what its provider needs is a login
CADDY_DNS = re.compile(r"(?P<head>^\s*(?:acme_)?dns\s+[a-z][\w-]*(?=\s))(?P<value>[^\n]*)$")
ELSEWHERE = re.compile(r"\.?/|\$\{\w+\}$")
# Up to a quote after which a value has certainly ended
WITHIN = {quote: re.compile(rf"(?:\\.|[^{quote}\\])*(?={quote}(?:[\s,;)\]}}]|$))") for quote in "\"'"}
IN_BRACKETS = re.compile(rf"(?:{QUOTED})(?=\s*[,}}\])])")
ONLY_A_MARK = re.compile(rf"{MARK}\w*")
PLACEHOLDER = re.compile(r"\{[\w.$:/-]+\}")


# YAML's values that stand once and are used by their names
ALIAS = re.compile(rf"(?<![\w.-])(?P<name>{WORD})[\"']?[ \t]*:[ \t]+\*(?P<alias>[\w.-]+)")
OPTIONS_ALIAS = re.compile(rf"(?<![\w-])--?(?P<name>{WORD})[\"']?,?\s+(?:- +)?\*(?P<alias>[\w.-]+)")


def mask_nested(path: str, text: str, mark: Mark) -> str:
    """A file's text with marks in place of values whose secret's name does not stand before them in their line."""
    of_yaml = path.endswith((".yml", ".yaml"))
    for pattern in BESIDE:
        text = pattern.sub(lambda match: _beside(match, mark), text)
    text = ELEMENT.sub(lambda match: _element(match, mark), text)
    text = _below(_mask_anchors(text, mark) if of_yaml else text, of_yaml, mark)
    return text if of_yaml else "\n".join(_sections(text.split("\n"), mark))


def _mask_anchors(text: str, mark: Mark) -> str:
    """A value of YAML that a secret has by its alias."""
    uses = [*ALIAS.finditer(text), *OPTIONS_ALIAS.finditer(text)]
    for alias in sorted({use["alias"] for use in uses if is_secrets_name(use["name"])}):
        anchor = re.search(rf"&{re.escape(alias)}(?=\s)[ \t]*(?:#[^\n]*)?", text)
        if anchor:
            begin = anchor.end()
            end, masked = _anchors_value(text, begin, mark)
            text = text[:begin] + masked + text[end:]
    return text


def _anchors_value(text: str, begin: int, mark: Mark) -> tuple[int, str]:
    """Where the value that begins there ends, and what is shown in its place."""
    line = text[text.rfind("\n", 0, begin) + 1 :].split("\n", 1)[0]
    indent = line[: len(line) - len(line.lstrip())]
    first = text[begin : begin + 1]
    if first in ("{", "["):
        end = end_of_brackets(text, begin)
        return end, _tokens(text[begin:end], mark)
    if first == "\n":
        end = _end_of_lines(text, begin + 1, indent)
        return end, "\n" + "".join(_lines(text[begin + 1 : end], mark))
    if quoted := re.compile(QUOTED).match(text, begin):
        return quoted.end(), quoted_mark(quoted[0], mark)
    if first in ("|", ">"):
        end = _end_of_lines(text, text.find("\n", begin) + 1 or len(text), indent)
        return end, mark(text[begin:end]) + "\n"
    end = re.compile(r"[^\n,\]}]*").match(text, begin)
    return (end.end(), mark(end[0])) if end else (begin, "")


def _beside(match: re.Match[str], mark: Mark) -> str:
    value = match["value"]
    rest = match.groupdict().get("rest") or ""
    if not is_secrets_name(match["name"]) or _is_harmless(value) or value.startswith(("{", "[")):
        return match[0]
    return match["head"] + quoted_mark(value, mark) + rest


def _element(match: re.Match[str], mark: Mark) -> str:
    is_harmless = not looks_secret(match["name"], match["value"]) or match["value"].startswith("{")
    return match[0] if is_harmless else match["head"] + mark(match["value"]) + match["rest"]


def _below(text: str, of_yaml: bool, mark: Mark) -> str:
    """What stands in the brackets of a secret's name, or on lines that are indented more than it."""
    pieces: list[str] = []
    position = 0
    while match := OPENING.search(text, position):
        name = match["name"] or match["above"]
        begin = match.end()
        if not is_secrets_name(name) or (of_yaml and name in OF_COMPOSE):
            # What is inside may have names of its own
            pieces.append(text[position:begin])
            position = begin
            continue
        end = end_of_brackets(text, begin - 1) if match["bracket"] else _end_of_lines(text, begin, match["indent"])
        pieces.append(text[position:begin])
        inside = text[begin:end]
        pieces.append(_tokens(inside, mark) if match["bracket"] else "".join(_lines(inside, mark)))
        position = end
    return "".join([*pieces, text[position:]])


def end_of_brackets(text: str, begin: int) -> int:
    """Where the bracket at `begin` closes; the text's end where it does not."""
    open_ones: list[str] = []
    for token in TOKEN.finditer(text, begin):
        sign = token["mark"]
        if sign in CLOSING:
            open_ones.append(CLOSING[sign])
        elif sign and open_ones and sign == open_ones[-1]:
            open_ones.pop()
            if not open_ones:
                return token.start()
    return len(text)


def end_within(head: str, value: str) -> int:
    """Where a value ends that stands in a quote, or quoted in a bracket, which was opened before it on its line; 0
    where nothing says that."""
    bare = re.sub(QUOTED, "", head)
    opened = re.search(r"(?:^|[\s,\[{(:=])([\"'])", bare)
    if opened:
        inner = WITHIN[opened[1]].match(value)
    elif sum(map(bare.count, "{[(")) > sum(map(bare.count, "}])")):
        inner = IN_BRACKETS.match(value)
    else:
        inner = None
    return inner.end() if inner else 0


def _end_of_lines(text: str, begin: int, indent: str) -> int:
    """Where the lines end that are indented more; items of a list may stand as deep as their name."""
    end = begin
    for match in EACH_LINE.finditer(text, begin):
        line = match[0]
        deeper = line[: len(line) - len(line.lstrip())].strip("\r\n")
        is_item = line.lstrip().startswith("- ") and len(deeper) == len(indent)
        if line.strip() and len(deeper) <= len(indent) and not is_item:
            break
        end += len(line)
    return end


def _tokens(text: str, mark: Mark) -> str:
    """Keys and brackets as they are, marks for all else."""
    pieces: list[str] = []
    key, may_be_key = "", True
    for token in TOKEN.finditer(text):
        is_key = may_be_key and IS_KEY.match(text, token.end())
        if token["space"]:
            pieces.append(token[0])
        elif token["mark"]:
            pieces.append(token[0])
            may_be_key = True
        elif is_key and token["quoted"]:
            key, may_be_key = token[0].strip("\"'"), False
            pieces.append(token[0])
        elif may_be_key and (word := KEY_IN_WORD.fullmatch(token[0])):
            key, may_be_key = word["key"][:-1], False
            pieces.append(word["key"] + (_value(key, word["value"], mark) if word["value"] else ""))
        elif is_key:
            key, may_be_key = token[0], False
            pieces.append(token[0])
        elif token[0] in ("=", ":", "=>"):
            pieces.append(token[0])
        elif token[0][0] in ":=":
            sign, value = token[0][0], token[0][1:]
            pieces.append(sign + _value(key, value, mark))
        else:
            pieces.append(_value(key, token[0], mark))
            may_be_key = False
    return "".join(pieces)


def _lines(text: str, mark: Mark) -> list[str]:
    masked_lines: list[str] = []
    for line in text.splitlines(keepends=True):
        parts = LINE.fullmatch(line)
        if not parts or line.lstrip().startswith("#"):
            masked_lines.append("" if line.lstrip().startswith("#") else mark(line) + "\n")
            continue
        value = parts["value"]
        is_structure = not value or BRACKETS_ONLY.fullmatch(value)
        masked_lines.append(
            parts["head"] + (value if is_structure else _value(parts["name"] or "", value, mark)) + parts["rest"]
        )
    return masked_lines


def _sections(lines: list[str], mark: Mark) -> list[str]:
    """Sections of INI and TOML that have a secret's name, and the blocks of Caddy's DNS providers."""
    masked_lines: list[str] = []
    inside = in_provider = False
    for line in lines:
        if header := SECTION.match(line):
            inside = is_secrets_name(header["name"].strip("\"'"))
            masked_lines.append(line)
        elif in_provider and line.strip() != "}":
            name, space, value = line.lstrip().partition(" ")
            masked_lines.append(f"{line[: len(line) - len(line.lstrip())]}{name}{space}{_arguments(value, mark)}")
        elif provider := CADDY_DNS.match(line):
            in_provider = provider["value"].strip() == "{"
            masked_lines.append(line if in_provider else provider["head"] + _arguments(provider["value"], mark))
        else:
            masked_lines += _lines(line, mark) if inside and line.strip() else [line]
            in_provider = False
    return masked_lines


def _arguments(text: str, mark: Mark) -> str:
    def mask_word(word: re.Match[str]) -> str:
        return word[0] if PLACEHOLDER.fullmatch(word[0]) or word[0] == "{" else mark(word[0])

    return re.sub(r"\S+", mask_word, text)


def _value(key: str, value: str, mark: Mark) -> str:
    return value if _is_harmless(value) or is_setting(f"_{key}", value) else quoted_mark(value, mark)


def _is_harmless(value: str) -> bool:
    """A switch, a path, the name of a variable, or a mark and nothing else."""
    bare = value.strip("\"' ")
    return not bare or bool(HARMLESS.fullmatch(value) or ELSEWHERE.match(bare) or ONLY_A_MARK.fullmatch(bare))


def quoted_mark(value: str, mark: Mark) -> str:
    """The mark in the quotes of what it stands for, so that the file keeps its form."""
    quote = value[0] if len(value) > 1 and value[0] in "\"'" and value[-1] == value[0] else ""
    return quote + mark(value) + quote


def says_nothing(line: str) -> bool:
    return not line.strip() or line.lstrip().startswith("#")


def items_before(lines: list[str]) -> str:
    """The items of a list that stand before a line of it."""
    items = itertools.takewhile(lambda line: line.lstrip().startswith("- "), reversed(lines))
    return " ".join(itertools.islice(items, 20))
