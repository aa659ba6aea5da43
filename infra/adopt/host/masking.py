"""What looks like a secret does not leave the host: a mark stands in its place. Standard library only: it is sent to
the host, and runs there before anything is sent back.

What is not understood for sure is masked: an environment's entry that is not one plain line loses its value.
"""

import re

MARK = "__masked__"
NAME = re.compile(
    r"secret|token|passw|passphrase|pwd|credential|api[-_]?key|webhook|cookie|salt|dsn"
    r"|(?:^|[-_.])(?:key|auths?)(?:[-_.]|$)|(?-i:[a-z]Key$)",
    re.IGNORECASE,
)
SHAPES = (
    re.compile(r"-----BEGIN [A-Z ]*PRIVATE KEY-----.*?(?:-----END [A-Z ]*PRIVATE KEY-----|\Z)", re.DOTALL),
    re.compile(r"(?<=://)[^\s/@\"']*:[^\s/@\"']+(?=@)"),
    re.compile(r"\b(?:AKIA|ASIA)[0-9A-Z]{16}\b"),
    re.compile(r"\b(?:sk|pk|rk|ghp|gho|glpat|xox[abp])[-_][A-Za-z0-9_-]{10,}"),
    re.compile(r"\beyJ[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+"),
    re.compile(r"(?<=\bBearer )[^\s\"';]+|(?<=\bBasic )[A-Za-z0-9+/=]{8,}"),
)
# A digest (sha256:…) is none, nor is a path
RANDOM = re.compile(r"(?<![A-Za-z0-9+:/])(?=[A-Za-z+=]*[0-9])(?=[0-9+=]*[A-Za-z])[A-Za-z0-9+=]{32,}")
WORD = r"[A-Za-z_][\w.-]*"
# With a space after a colon, or a quote before it: FOLDER:/FOLDER is none
ASSIGNED = re.compile(rf"(?P<name>{WORD})(?:[\"']?[ \t]*=|[\"']?[ \t]*:(?=[ \t])|[\"']:)[ \t]*(?=(?P<value>.*\S.*)$)")
OPTION = re.compile(
    rf"(?P<head>--?(?P<name>{WORD})(?:[ =]|[\"'],[ ]*(?=[\"'])))(?P<value>\"[^\"]*\"|'[^']*'|[^\s\"']+)"
)
HEADER = re.compile(
    rf"(?P<head>\b(?:set|\w+_set_header|\w+_param|add_header)\s+[\"']?\$?(?P<name>{WORD})[\"']?\s+)(?P<value>[^;]+)"
)
VARIABLE = re.compile(
    rf"(?P<quote>[\"'])?(?P<name>{WORD})=(?P<value>(?(quote)(?:(?!(?P=quote)).)*|\S*))(?(quote)(?P=quote))"
)
BLOCK = re.compile(r"^(?P<indent>[ ]*)(?:- )?(?:environment|args)[ ]*:(?P<rest>.*)$")
FLOW = re.compile(r"\b(?:environment|args)[\"']?[ ]*:[ ]*(?:[&!]\S+[ ]+)*[{\[]")
ENTRY = re.compile(
    rf"^(?P<indent>[ ]*)(?P<item>- +)?(?P<quote>[\"']?)(?P<name>{WORD})"
    r"(?P<sep>(?P=quote)[ ]*:(?:[ ]+|$)|=)(?P<value>.*)$"
)
ITEM = re.compile(r"(?P<head>[ ]*- +)(?P<value>.*)")
OPENED = re.compile(rf"^[ ]*- +[\"']?--?(?=[\w-]*(?i:key|token|secret|passw|credential)){WORD}[\"']?$")
SCALAR = re.compile(r"\"[^\"\\]*\"|'[^']*'|[^\s\"'|>&*{\[!%@`][^#]*")


def looks_secret(name: str, value: str = "") -> bool:
    return bool(NAME.search(name) or RANDOM.search(value) or MARK in value)


def masked(path: str, text: str) -> str:
    """A file's text without what looks like a secret."""
    for shape in SHAPES:
        text = shape.sub(MARK, text)
    if path.endswith((".yml", ".yaml")):
        return "".join(f"{line}\n" for line in _compose(text.splitlines()))
    ending = "\n" if text.endswith("\n") else ""
    if re.search(r"\.(service|timer|socket|conf)$", path) and re.search(r"^\[[A-Z]\w+\]", text, re.MULTILINE):
        return "\n".join(_of_unit(line) for line in re.sub(r"\\\n[ \t]*", " ", text).splitlines()) + ending
    return "\n".join(_plain(line) for line in text.splitlines()) + ending


def _of_unit(line: str) -> str:
    if re.match(r"\s*[#;]?\s*Environment\s*=", line):
        head, _, rest = line.partition("=")
        return f"{head}={VARIABLE.sub(_variable, rest)}"
    if re.match(r"\s*[#;]", line):
        return _plain(line)
    # Directives are no secrets, whatever they are called; what is handed to a program may be one
    head, sep, rest = line.partition("=")
    return head + sep + VARIABLE.sub(_variable, OPTION.sub(_option, rest))


def _variable(found: re.Match[str]) -> str:
    quote = found["quote"] or ""
    value = MARK if looks_secret(found["name"], found["value"]) else found["value"]
    return f"{quote}{found['name']}={value}{quote}"


def _option(found: re.Match[str]) -> str:
    secret = looks_secret(found["name"], found["value"]) and not found["value"].startswith(("/", "-"))
    return found["head"] + (MARK if secret else found["value"])


def _plain(line: str) -> str:
    line = HEADER.sub(_option, OPTION.sub(_option, line))
    assigned = (found for found in ASSIGNED.finditer(line) if not found["value"].startswith(MARK))
    found = next((found for found in assigned if looks_secret(found["name"], found["value"])), None)
    if found is None:
        return line
    head, last = line[: found.end()], found["value"].rstrip()[-1]
    # A quote that was opened before is still closed
    return head + MARK + (last if last in "\"'" and head.count(last) % 2 else "")


def _compose(lines: list[str]) -> list[str]:
    """YAML line by line, since the host may have nothing that reads it."""
    made: list[str] = []
    inside: int | None = None  # the indent of the block of variables that this line is in
    hidden: int | None = None  # lines that stand deeper belong to a value that was masked
    flow = ""
    for line in lines:
        indent = len(line) - len(line.lstrip(" "))
        if flow:
            flow = _flow(f"{flow} {line}", made)
            continue
        if made and OPENED.search(made[-1]) and (value := ITEM.fullmatch(line)):
            made.append(f"{value['head']}{MARK}")
            continue
        if hidden is not None and (indent > hidden or not line.strip()):
            continue
        hidden = None
        item = line.lstrip().startswith("- ")
        if inside is not None and line.strip() and (indent < inside or (indent == inside and not item)):
            inside = None
        head = BLOCK.match(line)
        if inside is None and FLOW.search(line):
            flow = _flow(line, made)
        elif inside is None and head:
            rest = re.sub(r"^\s*(&\S+)?\s*(#.*)?$", "", head["rest"])
            inside = indent + (2 if line.lstrip().startswith("- ") else 0)
            # Another's, by its anchor; what it is otherwise, nobody needs
            made.append(line if not rest or rest.strip().startswith("*") else f"{line.partition(':')[0]}: {MARK}")
        elif inside is not None and line.strip():
            shown = _entry(line)
            hidden = indent if shown != line or ENTRY.match(line) else None
            made += [shown] if shown else []
        else:
            shown = _plain(line)
            hidden = indent if shown != line else None
            made.append(shown)
    # What never closed took the rest with it: whoever reads this is to notice
    return [*made, "["] if flow else made


def _flow(text: str, made: list[str]) -> str:
    """`environment: {…}`: the names, once it is whole; else what there is of it."""
    bare = re.sub(r"\"[^\"]*\"|'[^']*'", "", text)
    if "'" in bare or '"' in bare or bare.count("{") + bare.count("[") > bare.count("}") + bare.count("]"):
        return text
    head, _, rest = text.partition(":")
    names = re.findall(rf"[{{\[,]\s*[\"']?({WORD})[\"']?\s*[:=]", rest)
    made.append(f"{head}: {{{', '.join(f'{name}: {MARK}' for name in names)}}}")
    return ""


def _entry(line: str) -> str:
    """A line of a block of variables: as it is when it is one plain value, else its name alone; "" for what is none."""
    if re.match(r"\s*(#|<<\s*:\s*\*\w+\s*$)", line):
        return "" if line.lstrip().startswith("#") else line
    if re.match(rf"^\s*- +[\"']?{WORD}[\"']?\s*$", line):
        return line
    found = ENTRY.match(line)
    if not found:
        return ""
    value = found["value"].strip()
    if found["sep"] == "=" and found["quote"]:
        value = value.removesuffix(found["quote"])
    plain = not value or SCALAR.fullmatch(value)
    if plain and not looks_secret(found["name"], value):
        return line
    sep = found["sep"] if found["sep"] == "=" or found["sep"].endswith(" ") else f"{found['sep']} "
    end = found["quote"] if found["sep"] == "=" else ""
    return f"{found['indent']}{found['item'] or ''}{found['quote']}{found['name']}{sep}{MARK}{end}"
