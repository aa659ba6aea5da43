"""Release steps: each has a name and a container of its own."""

from collections import Counter
from collections.abc import Iterator

from catalogue.loading import Catalogue
from catalogue.problems import Problem
from catalogue.rules.each import compose_services

# Of a step's container, which a release removes whatever it is
PREFIX = "infra-step-"


def steps(catalogue: Catalogue) -> Iterator[Problem]:
    for file, _, service in compose_services(catalogue):
        where = f"service {service.name}"
        for name, count in Counter(step.name for step in service.release).items():
            if count > 1:
                yield Problem(file, where, f"{count} release steps are called {name}", "a name of its own for each")
        for name in [name for name in (service.container, *service.aliases) if name.startswith(PREFIX)]:
            yield Problem(file, where, f"container {name}", f"another name: those of release steps begin with {PREFIX}")
