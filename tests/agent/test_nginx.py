"""What Nginx takes in beside a release's sites, by its own dump of its configuration."""

import pytest

from agent import nginx
from agent.world import Ran
from tests.agent.fake import FakeWorld

NAME, PATH, OTHER = "api.hey-watch.me", "/etc/nginx/sites-enabled/api.hey-watch.me", "/etc/nginx/conf.d/x.conf"
OURS = f"server {{ listen 443 ssl; listen [::]:443 ssl; server_name {NAME}; }}"
SAME = f"has the public name {NAME}, and of two Nginx takes the first that it reads"
TWO_DEEP = "# configuration file /etc/nginx/a:\ninclude b;\n# configuration file /etc/nginx/b:\ninclude a; server_name"
PROXIED = "has proxy_protocol at port 443, which Nginx then expects of every site's clients"
FOUND = {
    "a range of ports": ("server { listen 8000-8010; }", None),
    "a range with a site's": (f"server {{ listen 400-500; server_name {NAME}; }}", SAME),
    "all addresses": ("server { listen [::0]:443; listen [0:0:0:0:0:0:0:0]:80; listen 0.0.0.0:80; listen *:443; }", None),
    "one address, in full": (
        "server { listen [2001:db8::1]:443; }",
        "listens at [2001:db8::1]:443 alone, which Nginx chooses before any site at all addresses",
    ),
    "this host itself": (f"server {{ listen [0::1]:443; listen 127.1.2.3:443; server_name {NAME}; }}", None),
    "two files deep, in a circle": (f"server {{ listen 443; include a; }}\n{TWO_DEEP} {NAME};", SAME),
    "the host's own name": ("server { listen 443; server_name $hostname; }", SAME),
    "proxy_protocol": ("server { listen 443 ssl proxy_protocol; server_name x; }", PROXIED),
    "proxy_protocol at another port": ("server { listen 8443 ssl proxy_protocol; server_name x; }", None),
}  # fmt: skip


def world(*files: tuple[str, str]) -> FakeWorld:
    made = FakeWorld()
    made.files["/proc/sys/kernel/hostname"] = (f"{NAME}\n".encode(), 0o444, "root", "root")
    made.answers["nginx -T -q"] = Ran(0, "\n".join(f"# configuration file {path}:\n{text}" for path, text in files))
    return made


@pytest.mark.parametrize(("text", "found"), FOUND.values(), ids=FOUND)
def test_what_is_beside_a_site(text, found):
    made = world((nginx.MAIN, "http { }"), (PATH, OURS), (OTHER, text))
    assert nginx.others(made, [NAME], {PATH}, serves=True) == ([(OTHER, found)] if found else [])


def test_a_site_that_nginx_does_not_read_is_not_served():
    made = world((nginx.MAIN, "http { include conf.d/*.conf; }"))
    (found,) = nginx.others(made, [NAME], {PATH}, serves=True)
    assert found == (nginx.MAIN, f"does not read {PATH}: this site is not served")
    # The files of a release that is yet to come are not there
    assert nginx.others(made, [NAME], {PATH}) == []
