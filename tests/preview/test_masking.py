"""What a preview never shows, and what it leaves as it is."""

import pytest

from infra.preview.snapshot import mark, sealed, unspoken

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
    "a key of AWS": ("id = AKIAIOSFODNN7EXAMPLE\n", "AKIAIOSFODNN7EXAMPLE"),
}  # fmt: skip


@pytest.mark.parametrize(("text", "planted"), PLANTED.values(), ids=PLANTED)
def test_it_is_never_shown_and_a_change_of_it_is(text, planted):
    shown = unspoken(text)
    assert planted not in shown and "[secret " in shown
    assert shown != unspoken(text.replace(planted, f"{planted}2")) and unspoken(shown) == shown
    for line in ("port: 80", "before", "after"):
        assert (line in text) == (line in shown)


def test_what_is_no_secret_stays_as_it_is():
    text = "server_tokens off;\nproxy_set_header X-Real-IP $remote_addr;\n    image: a@sha256:b\n# a token\nExecStart=/usr/bin/x\n"
    assert unspoken(text) == text


def test_what_is_encrypted_in_a_configuration_is_a_mark():
    assert sealed({"a": {"secure": "v1:x"}, "b": [1, {"secure": "v1:y"}]}) == {
        "a": mark("v1:x"),
        "b": [1, mark("v1:y")],
    }
