"""Release steps: each has a name and a container of its own."""

from collections import Counter
from collections.abc import Iterator

from catalogue.loading import Catalogue
from catalogue.problems import Problem
from catalogue.rules.each import compose_services

# Of the containers of steps, and of the containers and volumes of drills, which are removed whatever they are
PREFIX, DRILL = "infra-step-", "infra-drill-"


def steps(catalogue: Catalogue) -> Iterator[Problem]:
    for file, _, service in compose_services(catalogue):
        where = f"service {service.name}"
        for name, count in Counter(step.name for step in service.release).items():
            if count > 1:
                yield Problem(
                    file, where, f"{count} release steps are called {name}", "must be a different name for each"
                )
        for name in (service.container, *service.aliases, *service.volume_names):
            if name.startswith((PREFIX, DRILL)):
                rule = f"must be another name: {PREFIX} is the prefix of release steps, {DRILL} that of drills"
                yield Problem(file, where, f"container or volume {name}", rule)
