"""What a preview never shows, and what it leaves as it is."""

import hashlib

import pytest

from catalogue.masking import Masker
from infra.preview.marks import key_of, mark, mask_encrypted, mask_text
from rendering.host import render
from tests import secret_names
from tests.support import whole

KEY = "-----BEGIN OPENSSH PRIVATE KEY-----\nb3BlbnNz\nAAAA\n-----END OPENSSH PRIVATE KEY-----"
PLANTED = {
    "an assignment": ("API_KEY=planted\n", "planted"),
    "in YAML": ("  stripe_api_key: 'planted'\nport: 80\n", "planted"),
    "with hyphens": ("x-api-key: planted\n", "planted"),
    "in a unit": ("Environment=HF_TOKEN=planted\n", "planted"),
    "in a block": ("db:\n  password: >\n    planted\n    planted too\nport: 80\n", "planted"),
    "a key file": (f"before\n{KEY}\nafter\n", "b3BlbnNz"),
    "a key file in YAML": ("tls_private_key: |\n  -----BEGIN PRIVATE KEY-----\n  MIIplanted\n  -----END PRIVATE KEY-----\n", "MIIplanted"),
    "a key in one line": (f"tls_private_key: {KEY}\n", "b3BlbnNz"),
    "half a key": ("-----BEGIN PRIVATE KEY-----\nMIIplanted\n", "MIIplanted"),
    "in a URL": ("url: postgres://user:planted@db/x\n", "planted"),
    "in a long text of TOML": ('token = """\nplanted\n"""\nport = 80\n', "planted"),
    "in a short name": ("DB_PASS=planted\n", "planted"),
    "in a name of MySQL's": ("MYSQL_PWD=planted\n", "planted"),
    "in an address of Sentry's": ("SENTRY_DSN=https://planted@sentry.io/1\n", "planted"),
    "in a webhook": ("SLACK_WEBHOOK=https://hooks.slack.com/services/T0/B0/planted\n", "planted"),
    "a key by another name": ("AUTH_KEY=planted\nMASTERKEY=planted\n", "planted"),
    "in a quoted assignment": ('Environment="DB_PASS=planted"\n', "planted"),
    "in a header": ('proxy_set_header Authorization "Bearer planted";\n', "planted"),
    "in an argument": ("ExecStart=/usr/bin/mysqldump -pplanted db\n", "planted"),
    "a key of AWS": ("id = AKIAIOSFODNN7EXAMPLE\n", "AKIAIOSFODNN7EXAMPLE"),
}  # fmt: skip


@pytest.mark.parametrize(("text", "planted"), PLANTED.values(), ids=PLANTED)
def test_secret_is_hidden_but_its_change_is_visible(text, planted):
    shown = mask_text(text)
    assert planted not in shown and "[secret " in shown
    assert shown != mask_text(text.replace(planted, f"{planted}2"))
    for line in ("port: 80", "before", "after"):
        assert (line in text) == (line in shown)


def files() -> dict[str, str]:
    """Every text file that a host of any system gets, by its path."""
    rendered = whole()
    hosts = [render(rendered, host) for host in rendered.stack.hosts]
    return {file.path: file.content.decode() for host in hosts for file in host.files}


def test_our_own_files_are_shown_whole():
    changed = {path for path, text in files().items() if mask_text(text, path) != text}
    assert not changed


@pytest.mark.parametrize("path", ["/a.yml", "/a.service", "/a.conf", "/a", "/a.toml"])
@pytest.mark.parametrize("name", secret_names.SECRET)
def test_the_names_of_secrets_are_known_in_every_kind_of_file(path, name):
    text = f"services:\n  a:\n    environment:\n      {name}: planted\n" if path == "/a.yml" else f"{name}=planted\n"
    assert "planted" not in mask_text(text, path)


def test_a_mark_cannot_be_guessed_back_without_the_key():
    shown = mask_text("ADMIN_PASSWORD=4711\n", key=b"the stack's own")
    guesses = [mask_text("ADMIN_PASSWORD=4711\n", key=key) for key in (b"", b"prod")]
    hashes = [hashlib.sha256(text).hexdigest()[:12] for text in (b"4711", b"4711\n", b"ADMIN_PASSWORD=4711\n")]
    assert shown not in guesses and not any(digest in shown for digest in hashes)
    assert shown == mask_text("ADMIN_PASSWORD=4711\n", key=b"the stack's own")


def test_key_of_marks_belongs_to_the_stack_file(tmp_path):
    file = tmp_path / "Pulumi.prod.yaml"
    file.write_text("encryptionsalt: v1:a\n")
    before = key_of(file)
    assert before == key_of(file)
    file.write_text("encryptionsalt: v1:b\n")
    assert before != key_of(file)


def test_existing_marks_of_any_form_stay():
    text = "A_TOKEN=[secret 0123456789abcdef]\nB_TOKEN=[secret not set]\nC_TOKEN=[another value, not shown]\n"
    assert mask_text(text, "/srv/.env") == text


def test_text_without_secrets_stays_unchanged():
    text = "server_tokens off;\nproxy_set_header X-Real-IP $remote_addr;\n    image: a@sha256:b\n# a token\nExecStart=/usr/bin/x\n"
    assert mask_text(text) == text


def test_encrypted_configuration_is_shown_as_a_mark():
    assert mask_encrypted({"a": {"secure": "v1:x"}, "b": [1, {"secure": "v1:y"}]}) == {
        "a": mark("v1:x"),
        "b": [1, mark("v1:y")],
    }


DIFFERENT = {
    "the ends of lines": ("a.conf", "PORT=80\nMODE=x\n", "PORT=80\r\nMODE=x\r\n"),
    "the ends of lines in YAML": ("a.yml", "a:\n  b: c\n", "a:\r\n  b: c\r\n"),
    "a comment among variables": (
        "compose.yml",
        "services:\n  a:\n    environment:\n      # one\n      PORT: 80\n",
        "services:\n  a:\n    environment:\n      # two\n      PORT: 80\n",
    ),
    "what is no entry among variables": (
        "compose.yml",
        "services:\n  a:\n    environment:\n      ? one\n      PORT: 80\n",
        "services:\n  a:\n    environment:\n      ? two\n      PORT: 80\n",
    ),
    "what a map includes": (
        "a.conf",
        "map $http_token $user {\n  include a.map;\n}\n",
        "map $http_token $user {\n  include b.map;\n}\n",
    ),
    "the end of a value that goes on": (".env", "PASSWORD=a\\\nb\n", "PASSWORD=a\\\nc\n"),
    "the last newline": ("a.conf", "PORT=80\n", "PORT=80"),
}


@pytest.mark.parametrize(("path", "before", "after"), DIFFERENT.values(), ids=DIFFERENT)
def test_two_texts_that_differ_are_shown_differently(path, before, after):
    assert mask_text(before, path, b"key") != mask_text(after, path, b"key")


def test_a_line_that_many_files_have_is_looked_at_once(monkeypatch):
    """So that hosts with the same services take no longer than one."""
    looked: list[str] = []
    mask_line = Masker._mask_line

    def noted(self: Masker, line: str, before: str = "") -> str:
        looked.append(line)
        return mask_line(self, line, before)

    monkeypatch.setattr(Masker, "_mask_line", noted)
    masker = Masker(b"key")
    shown = {masker.mask_secrets(f"/srv/{number}/a.conf", "DB_PASS=planted\nport 80;\n") for number in range(20)}
    assert looked == ["DB_PASS=planted", "port 80;"] and len(shown) == 1 and "planted" not in shown.pop()


def test_a_file_that_many_hosts_have_is_looked_at_once():
    text = f"DB_PASS={'x' * 40}\n"
    before = mask_text.cache_info().misses
    assert len({mask_text(text, "/etc/a.conf", b"a key") for _ in range(20)}) == 1
    assert mask_text.cache_info().misses == before + 1
