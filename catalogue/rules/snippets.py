"""What is written by hand for a site and a proxy: it is read as the proxy reads it, and may say what concerns its site
alone. What is not known to do so is refused: a list of what reaches further would never be whole."""

import re
from collections.abc import Iterator

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


def faults_of_nginx(text: str) -> Iterator[str]:
    """What is wrong with it, each in a few words."""
    depth, is_first = 0, True
    for token, is_plain in _nginx_tokens(text):
        if is_plain and token in ("{", "}", ";"):
            depth, is_first = depth + {"{": 1, "}": -1, ";": 0}[token], True
        elif is_first:
            is_first = False
            if not OF_NGINX.fullmatch(token):
                yield f"has the directive {token}"
        if INSIDE.search(token):
            yield f"leads to {token}"
        if depth < 0:
            yield "closes a { that it has not opened"
            return
    if depth or not is_first:
        yield "has a { or a quote that is not closed, or no ; at its end"


def _nginx_tokens(text: str) -> Iterator[tuple[str, bool]]:
    """Words, and whether they are no quoted ones: a quote begins one only where a word begins, a } ends none."""
    place = 0
    while place < len(text):
        sign = text[place]
        if sign.isspace():
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
            while end < len(text) and not text[end].isspace() and text[end] not in ";{":
                if text[end] == "\\" or text[end : end + 2] == "${":
                    end += 1
                end += 1
            yield text[place:end], True
            place = end


def faults_of_caddy(text: str) -> Iterator[str]:
    """The same of Caddy's: a directive is a line's first word, and a brace that opens a block is its last."""
    if "`" in text or "<<" in text:
        yield 'has a ` or <<, in which lines of other kinds could stand: quote by "'
        return
    depth = 0
    for line in text.splitlines():
        words = _caddy_words(line)
        if words is None:
            yield "has a quote that is not closed on its line"
            return
        if not words:
            continue
        first, is_quoted = words[0]
        if is_quoted or not (first == "}" or OF_CADDY.fullmatch(first)):
            yield f"has the directive {first}"
        for word, _ in words:
            if INSIDE.search(word):
                yield f"leads to {word}"
        depth += (words[-1] == ("{", False)) - (words[0] == ("}", False))
        if first == "{" or depth < 0:
            yield "closes a { that it has not opened"
            return
    if depth:
        yield "has a { that is not closed"


def _caddy_words(line: str) -> list[tuple[str, bool]] | None:
    """Each with whether it is a quoted one; None where a quote stays open."""
    words: list[tuple[str, bool]] = []
    rest = line
    while rest := rest.lstrip():
        if rest.startswith("#"):
            return words
        if rest.startswith('"'):
            found = re.match(r'"((?:[^"\\]|\\.)*)"', rest)
            if not found:
                return None
            words.append((found[1], True))
            rest = rest[found.end() :]
        else:
            word = re.match(r"\S+", rest)
            assert word
            words.append((word[0].replace("\\", ""), False))
            rest = rest[word.end() :]
    return words
