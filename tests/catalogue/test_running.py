"""Which words of a compose file are names of its containers."""

import pytest

from catalogue.compose.running import linked_names

# What another container has in its variables → whether `web` is called by it
TEXTS = {
    "http://web:8000/x": True, "postgres://a:b@web/shop": True, "web:8000": True, "a=1,web": True, "web": True,
    "https://web.example.com/": False, "https://a.example.com/web": False, "/srv/web": False, "/srv/web/x": False,
    "my-web": False, "web-2": False, "webs": False, "file:///web": False, "a.web": False,
}  # fmt: skip


@pytest.mark.parametrize(("text", "expected"), TEXTS.items(), ids=TEXTS)
def test_only_a_host_is_called_by_its_name(text, expected):
    services = {"app": {"container_name": "web"}, "other": {"environment": {"URL": text}}}
    assert linked_names(services, "app", ["app"]) == (["web"] if expected else [])
