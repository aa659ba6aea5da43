"""A secret whose name stands around it, above it, or in an entry of its own beside it."""

import json

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from catalogue.masking import MARK, Masker, mask_secrets

# File, its text with SECRET in place of each secret, and what has to stay readable
EXAMPLES = {
    "an object of a secret's name": ("a.json", '{\n "credentials": {\n  "github": "SECRET",\n  "more": {"x": ["SECRET"]}\n },\n "port": 80\n}\n', ['"github"', '"port": 80']),
    "its bracket on the line below": ("a.json", '{\n "credentials":\n {\n  "github": "SECRET"\n },\n "port": 80\n}\n', ['"port": 80']),
    "its value on the line below": ("a.json", '{\n "api_key":\n    "SECRET",\n "port": 80\n}\n', ['"port": 80']),
    "a list": ("a.json", '{\n"tokens": [\n"SECRET",\n"SECRET"\n],\n"port": 80}\n', ['"port": 80']),
    "a list that never closes": ("a.json", '{"tokens": ["SECRET", "SECRET"\n', ["tokens"]),
    "a table of TOML": ("a.toml", '[credentials]\ngithub = "SECRET"\n[server]\nport = 80\n', ["[credentials]", "github", "port = 80"]),
    "an array of tables": ("a.toml", '[[passwords]]\nuser = "SECRET"\n\n[server]\nport = 80\n', ["port = 80"]),
    "a section with a dot": ("a.ini", "[auth.tokens]\nalice = SECRET\n[server]\nport = 80\n", ["alice", "port = 80"]),
    "an inline table": ("a.toml", 'tokens = { alice = "SECRET", bob = "SECRET" }\nport = 80\n', ["port = 80"]),
    "a dotted key": ("a.toml", 'password.value = "SECRET"\nport = 80\n', ["port = 80"]),
    "name and value": ("a.json", '{"env": [{"name": "DB_PASSWORD", "value": "SECRET"}, {"name": "PORT", "value": "80"}]}\n', ['"PORT", "value": "80"']),
    "name and value on two lines": ("a.json", '[{"name": "DB_PASSWORD",\n "value": "SECRET"},\n {"name":"PORT","value":"80"}]\n', ['"PORT","value":"80"']),
    "value and name": ("a.json", '[{"value": "SECRET", "name": "DB_PASSWORD"}, {"value":"80","name":"PORT"}]\n', ["80"]),
    "name and value in YAML": ("a.yaml", "env:\n  - name: DB_PASSWORD\n    value: SECRET\n  - name: PORT\n    value: 80\n", ["value: 80"]),
    "name and value in attributes": ("a.xml", '<add name="ApiToken" value="SECRET"/>\n<port>80</port>\n', ["<port>80"]),
    "a variable of compose on the line below": ("compose.yml", "services:\n  a:\n    environment:\n      DB_PASSWORD:\n        SECRET\n      PORT: 80\n", ["PORT: 80"]),
    "a block of YAML": ("a.yaml", "database:\n  password:\n    first: SECRET\n    second:\n      - SECRET\n  port: 80\n", ["port: 80"]),
    "a list of YAML as deep as its name": ("a.yaml", "tokens:\n- SECRET\n- SECRET\nport: 80\n", ["port: 80"]),
    "an element on lines of its own": ("a.xml", "<password>\n SECRET\n</password>\n<port>80</port>\n", ["<port>80"]),
    "a provider of Caddy": ("Caddyfile", "{\n acme_dns cloudflare SECRET\n}\na.example {\n tls {\n  dns digitalocean SECRET\n }\n respond ok\n}\n", ["cloudflare", "respond ok"]),
    "a provider of Caddy with a block": ("Caddyfile", "tls {\n dns route53 {\n  access_key_id SECRET\n  region ap-northeast-1\n  session_token SECRET\n }\n}\nrespond ok\n", ["respond ok"]),
    "a line that goes on": (".env", "DB_PASSWORD=SECRET\\\nSECRET\\\nSECRET\nPORT=80\n", ["PORT=80"]),
    "a value that begins as a variable does": ("a.json", '{"credentials": {"github": "$SECRET"}}\n', ["credentials"]),
    "a value of which a part is known": ("a.json", '{"credentials": {"github": "SECRET ghp_abcdefghijklmnop more"}}\n', ["credentials"]),
    "an account that is called as a setting is": ("a.yaml", "password:\n  age: SECRET\n  size: 12\nport: 80\n", ["size: 12", "port: 80"]),
    "the same on one line": ("a.json", '{"password": {"age": "SECRET", "length": 12}}\n', ['"length": 12']),
    "a value by its alias": ("compose.yml", "x-one: &one SECRET # now\nservices:\n  a:\n    environment:\n      DB_PASSWORD: *one\n    command: [x, --port, 80]\n", ["&one", "--port, 80"]),
    "a quoted value by its alias": ("compose.yml", 'x-one: {a: &one "SECRET x", b: 80}\nx-two: {api_key: *one}\n', ["b: 80"]),
    "a block by its alias": ("a.yaml", "x: &one |\n  SECRET\n  SECRET\ny:\n  token: *one\nport: 80\n", ["port: 80"]),
    "a mapping by its alias": ("a.yaml", "x: &one\n  a: SECRET\n  b: SECRET\ny:\n  credentials: *one\nport: 80\n", ["port: 80"]),
    "an argument by its alias": ("compose.yml", 'x: [&one SECRET, other]\ncommand: ["--password", *one]\nport: 80\n', ["other", "port: 80"]),
    "an item by its alias": ("compose.yml", "x: &one SECRET\ncommand:\n  - --password\n  - *one\nport: 80\n", ["port: 80"]),
    "what a variable is without a value": ("a.sh", "x ${DB_PASS:-SECRET} ${API_TOKEN:=SECRET} ${PORT:-80}\n", ["${PORT:-80}"]),
    "the same in compose": ("compose.yml", "services:\n  a:\n    environment:\n      ONE: ${DB_PASS:-SECRET}\n      PORT: ${PORT:-80}\n", ["${PORT:-80}"]),
    "the same with a space, or another variable": ("a.sh", "x ${DB_PASS:-SECRET more} ${API_TOKEN:-${OTHER:-SECRET}} ${PORT:-80}\n", ["${PORT:-80}"]),
    "an object's first value on the line below": ("a.json", '{"password":\n  "SECRET",\n"port": 80}\n', ['"port": 80']),
    "a quoted option": ("systemd/system/a.service", '[Service]\nExecStart=/bin/x "--password" SECRET --port 80\n', ["--port 80"]),
    "a colon without a space": ("a.ini", "[db]\npassword:SECRET\nfolder:/srv/x\nport:80\n", ["folder:/srv/x", "port:80"]),
    "an item below a comment": ("compose.yml", "command:\n  - --password\n\n  # its value\n  - SECRET\n  - --port\n  - 80\n", ["- 80"]),
    "a header with a semicolon": ("nginx/a.conf", 'location / {\n  proxy_set_header Cookie "a=b; sid=SECRET";\n  set $pass "a;SECRET";\n  return 204;\n}\n', ["return 204;"]),
    "a name with letters by their numbers": ("a.json", '{"p\\u0061ssword": "SECRET",\n"port": 80}\n', ['"port": 80']),
    "the same in YAML": ("a.yaml", '"p\\x61ssword": "SECRET"\nport: 80\n', ["port: 80"]),
    "the same in a unit": ("systemd/system/a.service", "[Service]\nEnvironment=DB_P\\x41SSWORD=SECRET PORT=80\nExecStart=/x --p\\141ssword SECRET\n", ["PORT=80"]),
    "a word and a value": ("redis.conf", "session_token SECRET\nport 80\n", ["port 80"]),
}  # fmt: skip


@pytest.mark.parametrize(("name", "text", "kept"), EXAMPLES.values(), ids=EXAMPLES)
@pytest.mark.parametrize("key", [None, b"key"])
def test_only_nested_secrets_are_masked(name, text, kept, key):
    parts = text.split("SECRET")
    whole = parts[0] + "".join(f"hunter{number}{part}" for number, part in enumerate(parts[1:]))
    shown = Masker(key).mask_secrets(f"/etc/{name}", whole)
    assert "hunter" not in shown and MARK in shown
    assert [word for word in kept if word not in shown] == []


KEPT = {
    "names of Compose's secrets": ("compose.yml", "services:\n  a:\n    secrets:\n      - db_password\nsecrets:\n  db_password:\n    file: ./p.txt\n"),
    "switches and paths": ("a.json", '{"auth": {"enabled": true, "file": "/etc/htpasswd", "ttl": 3600, "max_age": "30d"}}\n'),
    "how a cookie is sent": ("a.yaml", "cookie:\n  samesite: Lax\n  max-age: 3600\n  secure: true\n"),
    "a placeholder": ("Caddyfile", "{\n acme_dns cloudflare {env.CF_TOKEN}\n}\n"),
    "upstreams of Nginx": ("nginx.conf", "upstream auth {\n  server 127.0.0.1:80;\n}\nlocation /token {\n  proxy_pass http://auth;\n}\n"),
    "what pages of other sites may send": ("nginx.conf", 'add_header "Access-Control-Allow-Credentials" "true" always;\n'),
    "a resolver": ("dhcp.conf", "dns 192.0.2.1 192.0.2.2\n"),
    "other names and values": ("a.json", '[{"name": "PORT", "value": "80"}, {"name": "colour", "value": "red"}]\n'),
    "letters by their numbers": ("systemd/system/a.service", "[Service]\nExecStart=/x/a\\x2db\\x41 \\x41\n"),
    "an alias of something else": ("compose.yml", "x: &one red\ny:\n  colour: *one\n"),
    "a section of a unit": ("a.conf", "[Service]\nUser=root\n"),
}  # fmt: skip


# Documents in which a secret has neighbours on its line: they are documents afterwards
READABLE = [
    'command: ["sh", "-c", "export TOKEN=hunter2 && exec run"]\n',
    'test: ["CMD-SHELL", "PGPASSWORD=hunter2 pg_isready"]\n',
    'options: {splunk-token: "hunter2", splunk-url: "x", b: [1, 2], db-password: \'hunter2\', z: 1}\n',
    'labels: ["com.x.token=hunter2", "b=c"]\n',
    'healthcheck: {test: ["CMD", "curl", "-fH", "X-Token: hunter2", "http://x/"], interval: 5s}\n',
]


@pytest.mark.parametrize("text", READABLE)
def test_masked_document_still_parses(text):
    shown = mask_secrets("/srv/compose.yml", text)
    assert "hunter2" not in shown and list(yaml.safe_load(shown)) == list(yaml.safe_load(text))


@pytest.mark.parametrize(
    "text",
    [
        "log_format main '$remote_addr token=hunter2 \"$http_user_agent\"';\n",
        'return 200 \'{"password": "hunter2", "a": "b"}\';\n',
        'set $pass "a;hunter2";\n',
    ],
)
def test_masked_nginx_statement_still_ends(text):
    shown = mask_secrets("/etc/nginx/nginx.conf", f"http {{\n{text}index a;\n}}\n")
    assert "hunter2" not in shown and shown.endswith(";\nindex a;\n}\n") and shown.count("\n") == 4


def test_many_secrets_in_one_line_are_all_masked():
    line = ", ".join(f'"pw=hunter{number}"' for number in range(400))
    shown = mask_secrets("/srv/compose.yml", f"labels: [{line}]\n")
    assert "hunter" not in shown and len(yaml.safe_load(shown)["labels"]) == 400


@pytest.mark.parametrize(("name", "text"), KEPT.values(), ids=KEPT)
def test_document_without_secrets_stays_unchanged(name, text):
    assert mask_secrets(f"/etc/{name}", text) == text


PLAIN = st.text("abcdefgh ", min_size=1, max_size=8) | st.sampled_from(["age", "path", "max-length", "prefix", "file"])
SECRETS = st.recursive(
    st.just("hunter2"),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(PLAIN, inner, max_size=3),
    max_leaves=6,
)
DOCUMENTS = st.recursive(
    st.dictionaries(
        st.sampled_from(["password", "tokens", "credentials", "clientSecret"]), SECRETS, min_size=1, max_size=2
    ),
    lambda inner: (
        st.dictionaries(PLAIN, inner | PLAIN | st.booleans(), min_size=1, max_size=3)
        | st.lists(inner, min_size=1, max_size=2)
    ),
    max_leaves=5,
)


@given(DOCUMENTS, st.sampled_from([None, 0, 1, 2, 4]))
def test_secret_is_masked_at_any_place_of_a_document(document, indent):
    assert "hunter2" not in mask_secrets("/etc/a.json", json.dumps(document, indent=indent) + "\n")


@given(DOCUMENTS, st.sampled_from([0, 1, 2, 4]))
def test_a_document_with_a_line_for_each_value_keeps_its_form(document, indent):
    shown = json.loads(mask_secrets("/etc/a.json", json.dumps(document, indent=indent) + "\n"))
    assert type(shown) is type(document)
    if isinstance(document, dict):
        assert list(shown) == list(document)


@pytest.mark.parametrize(
    "unit",
    ["\\", "a=", '{"', "//x:y", "<a>", "- ", "name: a\n", "-----BEGIN PRIVATE KEY-----", "A1A1A1A1", "a-", " \n" * 16],
)
@pytest.mark.parametrize("begin", ['Environment="A=', "map $token x {", '{"credentials": {"', "//x:", "set\n"])
def test_masking_ends_in_time_for_any_text(begin, unit):
    # A pattern that tries every way to read this would run into the limit of all tests
    text = f"[Service]\n{begin}{unit * 1000}"
    for path in ("a.conf", "a.yml", "a.service"):
        assert mask_secrets(f"/etc/systemd/system/{path}", text)


def test_extremely_long_line_is_masked_whole():
    assert mask_secrets("/etc/a.conf", f"a\n{'b ' * 5000}\nc\n") == f"a\n{MARK}\nc\n"
