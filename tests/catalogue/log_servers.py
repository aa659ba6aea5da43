"""Every rule about the server that logs go to, with an example that breaks it."""

from tests.catalogue.changes import configured

LOKI = {"to": "loki+https://logs.example.com"}


def of(logs, **secrets):
    return configured(logs=logs, secrets={"logs": secrets} if secrets else {})


# Name → configuration, and what the one line must say
EXAMPLES = {
    "a user without a password": (
        of({**LOKI, "user": "123"}),
        "infra:secrets.logs: secret TOKEN, the password of 123, is missing; set it: infra secret set logs.TOKEN --stack prod",
    ),
    "a user of syslog": (
        of({"to": "tls://logs.example.com", "user": "123"}),
        "infra:logs.user: a syslog server asks for no login; remove it, or send to loki+https:// or otlp+https://",
    ),
    "a token of two words": (
        of(LOKI, TOKEN="two words"), "infra:secrets.logs.TOKEN: is not a token; must be one word of ASCII",
    ),
    "a token of syslog": (
        of({"to": "tls://logs.example.com"}, TOKEN="x"), "warning: Pulumi.prod.yaml: infra:secrets.logs: no running service has this name",
    ),
    "another secret of logs": (of(LOKI, PASSWORD="x"), "infra:secrets.logs.PASSWORD: is not known; secrets of logs: TOKEN"),
}  # fmt: skip
