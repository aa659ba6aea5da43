"""What is written by hand for a site and a proxy: it is read as the proxy reads it, and may say what concerns its site
alone. What is not known to do so is refused: a list of what reaches further would never be whole."""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field

from catalogue.rules.contents import plain
from catalogue.rules.hosts_own import OF_THE_HOST

# Directives of Nginx that stay inside of a server
OF_NGINX = re.compile(
    r"location|if|return|rewrite|break|set|root|alias|index|try_files|error_page|recursive_error_pages|internal"
    r"|default_type|charset|expires|etag|autoindex(_exact_size|_format|_localtime)?|add_header|if_modified_since"
    r"|max_ranges|gzip(_static|_vary|_proxied|_min_length|_types|_comp_level)?|gunzip|sub_filter(_once|_types)?|allow|deny"
    r"|auth_basic|limit_rate(_after)?|limit_except|client_max_body_size|client_body_timeout|keepalive_timeout|send_timeout"
    r"|server_tokens|absolute_redirect|port_in_redirect|server_name_in_redirect|log_not_found|merge_slashes"
    r"|(proxy|fastcgi|uwsgi)_(pass|set_header|hide_header|pass_header|http_version|(connect|read|send)_timeout|buffering"
    r"|request_buffering|buffer_size|buffers|redirect|cookie_(path|domain|flags)|intercept_errors|set_body|method|param"
    r"|index|split_path_info|ignore_client_abort|next_upstream(_tries|_timeout)?|pass_request_(headers|body)|ssl_server_name"
    r"|ssl_name|force_ranges)|empty_gif|stub_status|mirror"
)
# Of Caddy, with what stands in their blocks
OF_CADDY = re.compile(
    r"@\S+|respond|redir|handle|handle_path|route|header|rewrite|uri|try_files|root|file_server|reverse_proxy|encode"
    r"|request_body|request_header|method|abort|error|vars|map|push|basicauth|forward_auth|copy_headers"
    r"|path|path_regexp|query|host|protocol|not|expression|remote_ip|header_regexp|file|[+-]\S+|>\S+|\?\S+|defer"
    r"|header_up|header_down|flush_interval|transport|dial_timeout|response_header_timeout|read_timeout|write_timeout"
    r"|to|lb_policy|lb_try_duration|lb_try_interval|health_uri|health_interval|health_timeout|health_status|max_size"
    r"|hide|index|precompressed|status|browse|gzip|zstd|minimum_length|body|close|default|[A-Z][A-Za-z-]*"
)
# Where a host's own services answer that are no one else's
INSIDE = re.compile(r"169\.254\.|fd00:ec2|unix[:/]|admin\.sock", re.IGNORECASE)
# What one reader takes for a space or a line's end, and another for none
UNREAD = re.compile(r"[^\S \t\r\n]|[\x00-\x08\x0e-\x1f\x7f]|\r(?!\n)")
# A line of it may be in any script
REMARK = re.compile(r"^[ \t]*#[^\n]*", re.MULTILINE)
# Directories of products, and of what is published
PUBLISHED = re.compile(r"/(?:srv|opt|mnt|media|var/www|usr/local/share|usr/share/nginx)/[^/]+")
ADDRESS = re.compile(
    r"(?:(?:https?|h2c|s?uwsgi|fastcgi|tcp)://|tcp/)?(?P<host>[^/:?#]*)(?::(?P<port>[0-9]+))?(?:[/?#].*)?"
)
# The last part of a name begins with a letter: any other is a way to write a number
HOST = re.compile(r"(?:[A-Za-z0-9_-]+\.)*[A-Za-z][A-Za-z0-9_-]*\.?")
LOCAL = re.compile(r"|127\.0\.0\.1|(?:.*\.)?localhost(?:\.localdomain)?\.?", re.IGNORECASE)
# Other names of the host itself, and of what knows its rights
NO_SERVICE = re.compile(r"ip6-.*|instance-data(?:\..*)?|metadata(?:\..*)?|host\.docker\.internal\.?", re.IGNORECASE)
# Files by the path that is asked for. Any other variable can be an argument, and have .. in it
BY_PATH = ("try_files", "index", "error_page", "rewrite")
OF_THE_PATH = re.compile(r"\$(?:uri|document_uri|request_uri|host)\b|\$\{(?:uri|document_uri|request_uri|host)\}")
FILLED_IN = re.compile(r"\{\$|\{(?:env|file)\.|placeholder\s*\(|\bph\s*\(", re.IGNORECASE)


@dataclass(frozen=True)
class Own:
    """What a snippet may lead to: the ports of the services on its hosts, and its system's directories."""

    ports: frozenset[int] = frozenset()
    directories: tuple[str, ...] = ()

    def has(self, path: str) -> bool:
        place = plain(path)
        below = any(f"{place}/".startswith(f"{plain(directory)}/") for directory in self.directories)
        return path.startswith("/") and bool(below or PUBLISHED.match(place)) and not OF_THE_HOST.match(place)

    def is_service(self, address: str) -> bool:
        """Whether one of the host's services answers there, or another machine by its name."""
        parts = ADDRESS.fullmatch(address)
        if not parts or NO_SERVICE.fullmatch(parts["host"]):
            return False
        if LOCAL.fullmatch(parts["host"]):
            return int(parts["port"] or 0) in self.ports
        return bool(HOST.fullmatch(parts["host"]))


def faults_of_nginx(text: str, own: Own) -> Iterator[str]:
    """What is wrong with it, each in a few words."""
    if UNREAD.search(REMARK.sub("", text)):
        yield "has a control character, or white space other than spaces, tabs and line breaks"
        return
    depth = 0
    words: list[str] = []
    for token, is_plain in _nginx_tokens(text):
        if is_plain and token in ("{", "}", ";"):
            depth += {"{": 1, "}": -1, ";": 0}[token]
            yield from _leading_away(words, own)
            words = []
        else:
            if not words and not OF_NGINX.fullmatch(token):
                yield f"has the directive {token}"
            words.append(token)
        if INSIDE.search(token):
            yield _points_to(token)
        if depth < 0:
            yield "closes a { that is not open"
            return
    if depth or words:
        yield "has a { or a quote that is not closed, or no ; at its end"


def _points_to(target: str) -> str:
    return f"points to {target}, which a snippet may not use"


def _leading_away(words: list[str], own: Own) -> Iterator[str]:
    """What a directive of Nginx reaches beyond the product's own."""
    name, arguments = (words or [""])[0], words[1:]
    if name in ("root", "alias"):
        yield from (f"serves files of {path}" for path in arguments if "$" in path or not own.has(path))
    elif name.endswith("_pass"):
        # A request's whole path begins with a slash
        addresses = [address.replace("$request_uri", "/", 1) for address in arguments]
        yield from (_points_to(address) for address in addresses if not own.is_service(address))
    elif name in BY_PATH:
        if name == "rewrite":
            # What is found goes behind all else, once: two could be two dots
            is_redirect = bool({"redirect", "permanent"} & {*arguments})
            arguments = [] if is_redirect else [re.sub(r"\$\d$", "", word) for word in arguments[1:2]]
        for word in arguments:
            if word.startswith(("http://", "https://", "$scheme://")):
                continue
            path = re.sub(r"\$is_args\$(?:args|query_string)$", "", word.partition("?")[0])
            if ".." in path or "$" in OF_THE_PATH.sub("", path):
                yield f"serves files of any path with {name} {word}"


def _nginx_tokens(text: str) -> Iterator[tuple[str, bool]]:
    """Words, and whether they are no quoted ones: a quote begins one only where a word begins, a } ends none."""
    place = 0
    while place < len(text):
        sign = text[place]
        if sign in " \t\r\n":
            place += 1
        elif sign in "{};":
            yield sign, True
            place += 1
        elif sign == "#":
            end = text.find("\n", place)
            place = len(text) if end < 0 else end
        elif sign in "\"'":
            end = place + 1
            while end < len(text) and text[end] != sign:
                end += 2 if text[end] == "\\" else 1
            if end >= len(text):
                yield "{", True  # it never ends
            yield text[place + 1 : end], False
            place = end + 1
        else:
            end = place
            while end < len(text) and text[end] not in " \t\r\n;{":
                if text[end] == "\\" or text[end : end + 2] == "${":
                    end += 1
                end += 1
            yield text[place:end], True
            place = end


@dataclass
class _Block:
    """Of Caddy: whether it says where files are, and whether it serves any."""

    has_root: bool = False
    serves: bool = False


@dataclass
class _Blocks:
    open: list[_Block] = field(default_factory=lambda: [_Block()])

    def close(self) -> bool:
        """Whether what the innermost one serves has its place still to be said, by one around it."""
        inner = self.open.pop()
        lacks = inner.serves and not inner.has_root
        if self.open:
            self.open[-1].serves |= lacks
        return lacks


def faults_of_caddy(text: str, own: Own) -> Iterator[str]:
    """The same of Caddy's: a directive is a line's first word, and a brace that opens a block is its last."""
    if UNREAD.search(REMARK.sub("", text)):
        yield "has a control character, or a space other than spaces, tabs and line breaks"
        return
    if "`" in text or "<<" in text:
        yield 'has a ` or <<, which could hide other directives: quote with "'
        return
    if match := FILLED_IN.search(text):
        yield f"has {match[0]}, with which Caddy could publish data of the host"
    blocks = _Blocks()
    for line in text.split("\n"):
        words = _caddy_words(line)
        if isinstance(words, str):
            yield words
            return
        if not words:
            continue
        first, is_quoted = words[0]
        opens, closes = words[-1] == ("{", False), words == [("}", False)]
        if is_quoted or not (closes or OF_CADDY.fullmatch(first)):
            yield f"has the directive {first}"
        for word, _ in words:
            if INSIDE.search(word):
                yield _points_to(word)
        if (closes and len(blocks.open) == 1) or first == "{":
            yield "closes a { that is not open"
            return
        # Caddy counts those in quotes and inside of a line too
        if any(word in ("{", "}") for word, _ in words[: -1 if opens or closes else None]):
            yield "has a { or } that is neither the last word of a line nor alone on it: join it to another character"
            return
        if closes:
            blocks.close()
            continue
        arguments = [word for word, _ in (words[:-1] if opens else words)]
        yield from _leading_away_in_caddy(arguments, own)
        # By a matcher it is said for some paths alone
        blocks.open[-1].has_root |= first == "root" and (len(arguments) == 2 or arguments[1:2] == ["*"])
        if opens:
            blocks.open.append(_Block(serves=first == "file_server"))
        else:
            blocks.open[-1].serves |= first == "file_server"
    if len(blocks.open) > 1:
        yield "has a { that is not closed"
    elif blocks.close():
        yield "has a file_server without a root: it would serve the host's own files"


def _leading_away_in_caddy(words: list[str], own: Own) -> Iterator[str]:
    name, arguments = words[0], words[1:]
    if name in ("reverse_proxy", "forward_auth", "to"):
        addresses = arguments[1:] if arguments and name != "to" and arguments[0][:1] in ("@", "/", "*") else arguments
        yield from (_points_to(address) for address in addresses if not own.is_service(address))
    elif name == "root" or (name == "vars" and "root" in arguments):
        path = arguments[-1] if arguments else ""
        if "{" in path or not own.has(path):
            yield f"serves files of {path}"
    elif name == "map" and any("vars." in word for word in arguments):
        yield "has a map that sets vars"


def _caddy_words(line: str) -> list[tuple[str, bool]] | str:
    """Each with whether it is a quoted one; what is wrong with a line that cannot be read."""
    words: list[tuple[str, bool]] = []
    rest = line
    while rest := rest.lstrip():
        if rest.startswith("#"):
            return "has a \\ at a line's end" if rest.rstrip("\r").endswith("\\") else words
        if rest.startswith('"'):
            match = re.match(r'"((?:[^"\\]|\\.)*)"', rest)
            if not match:
                return "has a quote that is not closed on its line"
            words.append((match[1], True))
        else:
            match = re.match(r"\S+", rest)
            assert match
            # By it a line goes on below, and a brace may be a word
            if "\\" in match[0]:
                return f'has \\ outside of quotes in {match[0]}: quote by "'
            words.append((match[0], False))
        rest = rest[match.end() :]
    return words
