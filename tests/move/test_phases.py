"""A move as a person sees it: phases, progress lines, and the report."""

import pytest

from infra.move.phases import phase_of, phases
from infra.move.progress import Progress
from infra.move.report import Latency, Report, markdown
from infra.move.run import Standing, plan_lines, standby_after

URN = "urn:pulumi:prod::infra::"
TOKYO, SYDNEY = "ap-northeast-1", "ap-southeast-2"
AT = "20261121T200000Z"
KINDS = {
    "aws:ec2/vpc:Vpc::network-ap-northeast-1-vpc": ("network", TOKYO),
    "infra:index:Network$aws:vpc/securityGroupIngressRule:SecurityGroupIngressRule::network-ap-northeast-1-in-22-203.0.113.10/32": (
        "network",
        TOKYO,
    ),
    "aws:ecr/repository:Repository::registry-ap-northeast-1-watchme-web": ("repositories", TOKYO),
    "aws:iam/role:Role::watchme-ap-northeast-1-permissions-role": ("rights", TOKYO),
    "aws:ec2/instance:Instance::watchme-ap-northeast-1-instance": ("host", TOKYO),
    "aws:ec2/eipAssociation:EipAssociation::watchme-ap-northeast-1-address-use": ("host", TOKYO),
    "command:local:Command::watchme-ap-northeast-1-ready": ("boot", TOKYO),
    # As stacks have it that were made before the gate was a command from here
    "command:remote:Command::watchme-ap-northeast-1-ready": ("boot", TOKYO),
    f"command:local:Command::images-ap-northeast-1-{AT}-images": ("images", TOKYO),
    f"command:local:Command::images-newest-ap-northeast-1-{AT}-images": ("newest images", TOKYO),
    "command:local:Command::watchme-ap-northeast-1-release-apply": ("release", TOKYO),
    f"command:local:Command::gate-ap-northeast-1-{AT}-gate": ("gate", TOKYO),
    "aws:route53/record:Record::api.hey-watch.me": ("switch", ""),
    f"command:local:Command::verified-ap-northeast-1-{AT}-verify": ("verify", TOKYO),
    f"command:local:Command::drained-ap-northeast-1-{AT}-drain": ("drain", ""),
    "aws:sns/topic:Topic::alarms-ap-northeast-1-topic": ("topic", TOKYO),
    "aws:sns/topicSubscription:TopicSubscription::alarms-ap-northeast-1-to-ops@hey-watch.me": ("topic", TOKYO),
    "aws:cloudwatch/metricAlarm:MetricAlarm::watchme-ap-northeast-1-alarms-disk": ("alarms", TOKYO),
    "aws:cloudwatch/dashboard:Dashboard::dashboard-ap-northeast-1": ("alarms", TOKYO),
    "aws:dlm/lifecyclePolicy:LifecyclePolicy::snapshots-ap-northeast-1-policy": ("snapshots", TOKYO),
    "aws:budgets/budget:Budget::credits": None,
    "infra:index:Host::watchme-ap-northeast-1": None,
    "pulumi:providers:aws::aws-ap-northeast-1": None,
}


@pytest.mark.parametrize(("urn", "expected"), KINDS.items())
def test_a_resource_belongs_to_a_step(urn, expected):
    assert phase_of(f"{URN}{urn}", "create") == expected
    assert phase_of(f"{URN}{urn}", "same") is None


def test_deletions_in_a_region_belong_to_its_retirement():
    assert phase_of(f"{URN}aws:ec2/vpc:Vpc::network-ap-southeast-2-vpc", "delete") == ("retire", SYDNEY)
    # An earlier attempt's step is no machine
    assert phase_of(f"{URN}command:local:Command::gate-ap-northeast-1-{AT}-gate", "delete") is None
    assert phase_of(f"{URN}command:remote:Command::watchme-ap-southeast-2-ready", "delete") is None


STEPS = [
    {"op": "delete", "urn": f"{URN}aws:ec2/vpc:Vpc::network-ap-southeast-2-vpc"},
    {"op": "update", "urn": f"{URN}aws:route53/record:Record::api.hey-watch.me"},
    *({"op": "create", "urn": f"{URN}aws:ecr/repository:Repository::registry-{TOKYO}-{n}"} for n in range(4)),
    {"op": "same", "urn": f"{URN}aws:iam/user:User::home-user"},
]


def test_plan_lists_steps_in_order_with_their_resources():
    assert plan_lines(phases(STEPS)) == [
        " 1. repositories ap-northeast-1      4 created    for container images (registry-ap-northeast-1-0, "
        "registry-ap-northeast-1-1, registry-ap-northeast-1-2 and 1 more)",
        " 2. switch                           1 updated    names point to the new host (api.hey-watch.me)",
        " 3. retire ap-southeast-2            1 deleted    deleted at the end (network-ap-southeast-2-vpc)",
    ]


def event(kind: str, op: str, name: str) -> dict:
    return {kind: {"metadata": {"op": op, "urn": f"{URN}{name}"}}}


def test_progress_reports_begin_and_end_of_each_step():
    said, times = [], iter(range(100))
    progress = Progress({(p.step, p.region): p for p in phases(STEPS)}, said.append, lambda: next(times))
    repository = "aws:ecr/repository:Repository::registry-ap-northeast-1-"
    progress.follow(
        [
            event(kind, "create", f"{repository}{n}")
            for n in range(4)
            for kind in ("resourcePreEvent", "resOutputsEvent")
        ]
    )
    progress.follow([{"diagnosticEvent": {"severity": "info", "message": "gate ap-northeast-1: 12 public paths\n"}}])
    gate = f"command:local:Command::gate-ap-northeast-1-{AT}-gate"
    progress.follow([event("resourcePreEvent", "create", gate), event("resOpFailedEvent", "create", gate)])
    progress.follow(
        [
            {"diagnosticEvent": {"severity": "info", "message": "gate ap-northeast-1: failed: 502"}},
            error("update failed\n", "pulumi:pulumi:Stack::infra-prod"),
            error('exit status 1: running "exec …":\n12 public paths\ngate ap-northeast-1: failed: 502\n', gate),
        ]
    )
    assert said == [
        "· repositories ap-northeast-1 …",
        "✓ repositories ap-northeast-1: 4 created (8.0 s)",
        "    gate ap-northeast-1: 12 public paths",
        "· gate ap-northeast-1 …",
        "✗ gate ap-northeast-1 (2.0 s)",
        "    gate ap-northeast-1: failed: 502",
    ]
    assert progress.reasons == ["gate ap-northeast-1: failed: 502"]


def error(message: str, urn: str = ""):
    return {"diagnosticEvent": {"severity": "error", "message": message, "urn": urn and f"{URN}{urn}"}}


APPLY = "infra:index:Release$command:local:Command::watchme-ap-northeast-1-release-apply"
INSTANCE = "infra:index:Host$aws:ec2/instance:Instance::watchme-ap-northeast-1-instance"
REASONS = {
    "a release that was rolled back": (
        [error('exit status 4: running "exec .venv/bin/python -m infra.deliver":\nswitching\nrolled back on watchme: web is unhealthy\n', APPLY)],
        ["rolled back on watchme: web is unhealthy"],
    ),
    "a provider's chain of errors, after what follows from it": (
        [
            error("update failed\n", "pulumi:pulumi:Stack::infra-prod"),
            error("the program was stopped\n", "pulumi:pulumi:Stack::infra-prod"),
            error("1 error occurred:\n\t* creating EC2 Instance: AccessDenied: not allowed\n\n", INSTANCE),
        ],
        ["creating EC2 Instance: AccessDenied: not allowed", "the program was stopped"],
    ),
    "a provider's one line": ([error("AccessDenied: x", INSTANCE), error("AccessDenied: x", INSTANCE)], ["AccessDenied: x"]),
    "a plugin that died": ([error("error reading from server: EOF\n", APPLY)], ["error reading from server: EOF"]),
    "the program's own": ([error("infra:hosts: unknown field\n")], ["infra:hosts: unknown field"]),
    "what only sounds like a failure": (
        [{"diagnosticEvent": {"severity": "info", "message": "Dial 1/inf failed: retrying"}}, error("AccessDenied", INSTANCE)],
        ["AccessDenied"],
    ),
    "nothing but that something failed": ([error("update failed\n")], []),
}  # fmt: skip


@pytest.mark.parametrize(("events", "expected"), REASONS.values(), ids=REASONS)
def test_reason_of_a_stopped_move_is_the_error_of_its_step(events, expected):
    progress = Progress({}, lambda line: None, lambda: 0.0)
    progress.follow(events)
    assert progress.reasons == expected


def test_standby_regions_after_a_move_are_computed():
    assert standby_after(Standing(SYDNEY, SYDNEY, []), TOKYO, keep=True) == [SYDNEY]
    assert standby_after(Standing(SYDNEY, SYDNEY, []), TOKYO, keep=False) == []
    assert standby_after(Standing(TOKYO, TOKYO, [SYDNEY]), SYDNEY, keep=True) == [TOKYO]
    assert standby_after(Standing(TOKYO, TOKYO, [SYDNEY]), TOKYO, keep=False) == []
    assert Standing(SYDNEY, TOKYO, []).is_under_way and not Standing("", TOKYO, []).is_under_way


def test_report_lists_steps_and_remaining_resources():
    steps = [("images ap-northeast-1", "1 created", 8.25), ("network ap-northeast-1", "13 created", 2.0)]
    text = markdown(
        Report(
            "prod", SYDNEY, TOKYO, "2026-11-21 20:00 UTC", 60.0, steps, {"watchme-web:latest": "sha256:1"},
            {"api.hey-watch.me": Latency(121.2, 480.0)}, {"api.hey-watch.me": Latency(1.4, 6.0)}, [SYDNEY],
            gaps=["data ap-northeast-1/web: stopped for 8.4 s"],
        )
    )  # fmt: skip
    assert "| images ap-northeast-1 | 1 created | 8.2 |" in text
    assert "## Data\n\n- data ap-northeast-1/web: stopped for 8.4 s\n" in text
    assert "| Pulumi, program and AWS | the remaining time | 51.8 |" in text
    assert "| api.hey-watch.me | 121 ms | 1 ms | 480 ms | 6 ms |" in text
    assert (
        "`uv run infra move ap-northeast-1 --retire --stack prod`" in text and "- `watchme-web:latest` sha256:1" in text
    )


def test_the_report_of_a_retirement_names_no_move():
    steps = [(f"retire {SYDNEY}", "47 deleted", 4.0)]
    text = markdown(Report("prod", TOKYO, TOKYO, "2026-11-21 20:00 UTC", 60.0, steps, {}))
    assert (
        text.startswith(f"# Stack prod: {TOKYO}\n")
        and f"- Nothing is left in {SYDNEY}" in text
        and "scan-regions" not in text
    )


def test_standby_steps_come_last():
    """It gets its images and release once the names are where they are to be."""
    steps = [
        {"op": "create", "urn": f"{URN}command:local:Command::{name}"}
        for name in (
            f"images-{SYDNEY}-images",
            f"images-{TOKYO}-{AT}-images",
            f"gate-{TOKYO}-{AT}-gate",
            f"verified-{TOKYO}-{AT}-verify",
        )
    ]
    assert [str(phase) for phase in phases(steps)] == [
        f"images {TOKYO}",
        f"gate {TOKYO}",
        f"verify {TOKYO}",
        f"images {SYDNEY}",
    ]
