"""Logs that hosts send to a server: how it knows them, and that it is asked in a form that has such a thing."""

import re
from collections.abc import Iterator

from catalogue.encrypted_values import is_sealed
from catalogue.loading import Catalogue
from catalogue.problems import Problem
from catalogue.stack import LOG_TOKEN, LOGS

TOKEN = re.compile(r"[!-&(-~]{1,4096}")


def log_server(catalogue: Catalogue) -> Iterator[Problem]:
    """A user has a token, a token is one word, and both are for a server that lines are posted to."""
    stack = catalogue.stack
    logs, secrets, where = stack.logs, stack.secrets.get(LOGS, {}), f"infra:secrets.{LOGS}"
    if logs.form is None:
        if logs.user:
            fault, rule = "a syslog server asks for no login", "remove it, or send to loki+https:// or otlp+https://"
            yield Problem(stack.file, "infra:logs.user", fault, rule)
        return
    services = {service.name for system in catalogue.running.values() for service in system.active}
    if LOGS in {*catalogue.running, *services}:
        fault = f"a system or service is called {LOGS}, whose own the secrets of infra:logs would be"
        yield Problem(stack.file, "infra:logs", fault, "must be another name for that one")
        return
    for name in sorted({*secrets} - {LOG_TOKEN}):
        yield Problem(stack.file, f"{where}.{name}", "is not known", f"secrets of logs: {LOG_TOKEN}")
    token = secrets.get(LOG_TOKEN, "")
    if logs.user and not token:
        fault = f"secret {LOG_TOKEN}, the password of {logs.user}, is missing"
        rule = f"set it: infra secret set {LOGS}.{LOG_TOKEN} --stack {stack.name}"
        yield Problem(stack.file, where, fault, rule, unset=f"{LOGS}.{LOG_TOKEN}")
    elif token and not is_sealed(token) and not TOKEN.fullmatch(token):
        rule = "must be one word of ASCII, without blanks and without '"
        yield Problem(stack.file, f"{where}.{LOG_TOKEN}", "is not a token", rule)
