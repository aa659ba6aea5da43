"""Nginx's configuration as people write it, read."""

from infra.adopt.host.nginx import sites

HEAD = "listen 443 ssl; server_name a.example.com;"
AT = "proxy_pass http://127.0.0.1:8017"


def seen(server: str, http: str = "", files: dict[str, str] | None = None):
    main = f"http {{ {http} include /etc/nginx/sites-enabled/*; }}"
    return sites({"/etc/nginx/nginx.conf": main, "/etc/nginx/sites-enabled/a": server, **(files or {})})


def read_of(server: str, http: str = "", name: str = "a.example.com"):
    return seen(server, http).facts[name]
