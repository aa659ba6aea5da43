"""What a change of place means, worked out from Pulumi's own state: no engine, no cloud."""

import pytest

from components.before import Before, read
from components.move import Move, is_under_way, move_output, plan_move
from tests.support import stack

SYDNEY, TOKYO = "ap-southeast-2", "ap-northeast-1"
SECOND = f"{TOKYO}-g2"
HOSTS = {SYDNEY: {"watchme": "127.71.0.2"}, TOKYO: {"watchme": "127.71.0.9"}, SECOND: {"watchme": "127.71.0.10"}}
NOW = "20261121T200000Z"
DONE = Move("20260101T000000Z", TOKYO, {TOKYO: HOSTS[TOKYO]}, 60)


def before(
    serving: str,
    *regions: str,
    gated: set[str] | None = None,
    move: Move | None = None,
    ttl: int = 60,
    pointed: str = "",
    unfinished: bool = False,
    generations: dict[str, int] | None = None,
) -> Before:
    there = {region: HOSTS[region] for region in regions}
    serves = Before(region=serving, generations=generations or {}).place("watchme")
    gates = frozenset((place, "watchme") for place in {serves, *(gated or set())})
    pointed_to = frozenset({(pointed or serves, "watchme")})
    return Before(
        region=serving,
        pointed=pointed_to,
        hosts=there,
        gated=gates,
        ttl=ttl,
        move=move_output(move or Move()),
        unfinished=unfinished,
        generations=generations or {},
    )


def at(region: str, *standby: str, generation: int = 1):
    def change(values: dict) -> None:
        hosts = {name: {**spec, "generation": generation} for name, spec in values["infra:hosts"].items()}
        values |= {"aws:region": region, "infra:standbyRegions": list(standby), "infra:hosts": hosts}

    return stack(change)


CASES = {
    "the first update moves nothing": (at(SYDNEY), Before(), Move()),
    "nor does any other in one place": (at(SYDNEY), before(SYDNEY, SYDNEY), Move()),
    "a move": (at(TOKYO), before(SYDNEY, SYDNEY), Move(NOW, SYDNEY, {SYDNEY: HOSTS[SYDNEY]}, 60)),
    "a move that keeps the old region": (at(TOKYO, SYDNEY), before(SYDNEY, SYDNEY), Move(NOW, SYDNEY, {}, 60)),
    "one that goes on half-way": (
        at(TOKYO),
        before(SYDNEY, SYDNEY, TOKYO),
        Move(NOW, SYDNEY, {SYDNEY: HOSTS[SYDNEY]}, 60),
    ),
    "one that was given up before the gate": (at(SYDNEY), before(SYDNEY, SYDNEY, TOKYO), Move()),
    "one that was given up after it": (
        at(SYDNEY),
        before(SYDNEY, SYDNEY, TOKYO, gated={TOKYO}),
        Move(NOW, "", {TOKYO: HOSTS[TOKYO]}, 60),
    ),
    "one that was given up after it, with the other region kept": (
        at(SYDNEY, TOKYO),
        before(SYDNEY, SYDNEY, TOKYO, gated={TOKYO}, unfinished=True),
        Move(NOW, "", {}, 60),
    ),
    "one whose names point there already takes nothing more from the old region": (
        at(TOKYO),
        before(SYDNEY, SYDNEY, TOKYO, gated={TOKYO}, pointed=TOKYO),
        Move(NOW, "", {SYDNEY: HOSTS[SYDNEY]}, 60),
    ),
    "one that is given up once names point there goes back with its images": (
        at(SYDNEY),
        before(SYDNEY, SYDNEY, TOKYO, gated={TOKYO}, pointed=TOKYO),
        Move(NOW, TOKYO, {TOKYO: HOSTS[TOKYO]}, 60),
    ),
    "the standby is retired": (
        at(TOKYO),
        before(TOKYO, SYDNEY, TOKYO, gated={SYDNEY}),
        Move(NOW, "", {SYDNEY: HOSTS[SYDNEY]}, 60),
    ),
    "what was done stays done": (at(SYDNEY), before(SYDNEY, SYDNEY, move=DONE), DONE),
    "names are remembered for as long as they were": (
        at(TOKYO),
        before(SYDNEY, SYDNEY, ttl=300),
        Move(NOW, SYDNEY, {SYDNEY: HOSTS[SYDNEY]}, 300),
    ),
    "another machine in the same region needs no images": (
        at(TOKYO, generation=2),
        before(TOKYO, TOKYO),
        Move(NOW, "", {TOKYO: HOSTS[TOKYO]}, 60),
    ),
    "a replacement that goes on half-way": (
        at(TOKYO, generation=2),
        before(TOKYO, TOKYO, SECOND, gated={SECOND}, pointed=SECOND),
        Move(NOW, "", {TOKYO: HOSTS[TOKYO]}, 60),
    ),
    "a replacement that was given up before the gate": (at(TOKYO), before(TOKYO, TOKYO, SECOND), Move()),
    "a replacement that was given up after it": (
        at(TOKYO),
        before(TOKYO, TOKYO, SECOND, gated={SECOND}, unfinished=True),
        Move(NOW, "", {SECOND: HOSTS[SECOND]}, 60),
    ),
    "a machine that was replaced stays so": (
        at(TOKYO, generation=2),
        before(TOKYO, SECOND, generations={"watchme": 2}, move=DONE),
        DONE,
    ),
    "another machine in another region": (
        at(SYDNEY, generation=2),
        before(TOKYO, TOKYO),
        Move(NOW, TOKYO, {TOKYO: HOSTS[TOKYO]}, 60),
    ),
    "a region is left with the machine that was replaced there": (
        at(SYDNEY, generation=2),
        before(TOKYO, SECOND, generations={"watchme": 2}),
        Move(NOW, TOKYO, {SECOND: HOSTS[SECOND]}, 60),
    ),
}


@pytest.mark.parametrize(("stack", "prior", "expected"), CASES.values(), ids=CASES)
def test_planned(stack, prior, expected):
    assert plan_move(stack, prior, NOW) == expected
    assert is_under_way(stack, prior) == bool(expected.source) or expected == DONE


def test_region_of_a_stack_is_read_from_its_state():
    urn = "urn:pulumi:prod::infra::"
    state = {
        f"{urn}pulumi:pulumi:Stack::infra-prod": {
            "type": "pulumi:pulumi:Stack",
            "outputs": {"region": SYDNEY, "standby": [], "move": {"at": "1"}},
        },
        f"{urn}infra:index:Host::watchme-{SYDNEY}": {
            "type": "infra:index:Host",
            "outputs": {"host": "watchme", "region": SYDNEY, "address": "127.71.0.2"},
        },
        # Its address is not known yet: it is half made
        f"{urn}infra:index:Host::watchme-{TOKYO}": {"type": "infra:index:Host", "outputs": {}},
        f"{urn}infra:index:Gate::gate-{TOKYO}-1": {
            "type": "infra:index:Gate",
            "outputs": {"region": TOKYO, "at": "2", "ttl": 3600},
        },
        f"{urn}aws:route53/record:Record::a": {
            "type": "aws:route53/record:Record",
            "outputs": {"ttl": 300, "records": ["127.71.0.2"]},
        },
    }
    assert read(state) == Before(
        region=SYDNEY,
        pointed=frozenset({(SYDNEY, "watchme")}),
        hosts={SYDNEY: HOSTS[SYDNEY]},
        gated=frozenset({(SYDNEY, "watchme")}),
        ttl=3600,
        move={"at": "1"},
        unfinished=True,
        record_providers=frozenset({"route53"}),
    )
    # A second machine of the name, whose gate was passed
    state[f"{urn}infra:index:Host::watchme-{SYDNEY}-g2"] = {
        "type": "infra:index:Host",
        "outputs": {"host": "watchme", "region": SYDNEY, "address": "127.71.0.3", "generation": 2.0},
    }
    place = f"{SYDNEY}-g2"
    assert read(state).hosts == {SYDNEY: HOSTS[SYDNEY], place: {"watchme": "127.71.0.3"}}
    assert read(state).gated == {(SYDNEY, "watchme")}
    state[f"{urn}infra:index:Gate::gate-{SYDNEY}-2"] = {
        "type": "infra:index:Gate",
        "outputs": {"region": SYDNEY, "at": "3", "ttl": 0, "machines": {"watchme": place}},
    }
    assert read(state).gated == {(SYDNEY, "watchme"), (place, "watchme")}
    state[f"{urn}pulumi:pulumi:Stack::infra-prod"]["outputs"]["generations"] = {"watchme": 2.0}
    assert read(state).place("watchme") == place
    assert read({}) == Before()
