"""What should not be, on a host and of what AWS runs: the shape of `files/alerts.yaml`."""

from typing import Annotated, Any, Literal

from pydantic import Discriminator, Field, Tag, model_validator

from catalogue.fields import Model, Name, pattern_text

Measure = Literal[
    "unit down", "unit restarts", "unit failed", "memory freed", "service unhealthy", "single runs twice", "proxy down",
    "proxy server errors", "certificate", "network", "container attachment", "legacy network", "name resolution",
    "open port", "container memory", "oom kills", "memory", "swap", "disk", "inodes", "clock", "release unfinished",
    "registry login", "followed tag", "container traffic", "certificate renewal",
    "release overridden", "backup age", "backup drill", "group host", "spread copies", "group quorum",
]  # fmt: skip
PERCENT = ("memory", "swap", "disk", "inodes", "container memory", "proxy server errors")
OF_PROXY = ("proxy down", "proxy server errors", "certificate", "certificate renewal")
_METRIC = (
    r"^[A-Z][A-Za-z0-9]{0,63}$",
    "a metric's name, such as DiskUsed: a capital, then letters and digits, at most 64",
)
MetricName = Annotated[str, pattern_text(*_METRIC)]


class Alert(Model):
    """A condition that a host's monitor looks at."""

    alert: Name
    """The condition's name."""
    measure: Measure
    """What the host's monitor measures."""
    above: float | int
    """The condition is met when what is measured is above this; of percentages at least 0 and below 100."""
    within: int = 0
    """Over how many seconds it is counted, by measures that count what happened."""
    least: int = 0
    """How many must have been seen for it to count, by measures that are a share."""
    text: str
    """What the notice says. It may name `{subject}`, `{value}` and the condition's own fields."""
    repair: Literal["restart docker", "make network", "attach", "start", "prune"] | None = None
    """What the monitor does about it by itself."""
    metric: MetricName | None = None
    """The metric in CloudWatch that the worst value of its subjects is published under, with an alarm of the same
    bound."""

    @model_validator(mode="after")
    def _text_names_only_fields(self) -> "Alert":
        try:
            self.text.format(subject="", value=0.0, **self.model_dump())
        except (KeyError, IndexError, ValueError) as error:
            raise ValueError(f"text names {error}; it may name subject, value and the alert's own fields") from None
        return self

    @model_validator(mode="after")
    def _a_percentage_can_be_exceeded(self) -> "Alert":
        if self.measure in PERCENT and not 0 <= self.above < 100:
            raise ValueError(f"above: {self.above} is not a percentage; at least 0, below 100")
        return self

    @property
    def of_proxy(self) -> bool:
        """Has it subjects only where there is a proxy."""
        return self.measure in OF_PROXY


class CloudMetric(Model):
    """What AWS itself counts of a machine."""

    namespace: Annotated[str, pattern_text(r"^AWS/[A-Za-z0-9]+$", "a namespace of AWS, such as AWS/EC2")]
    """The namespace of the metric in CloudWatch."""
    metric: MetricName
    """The metric's name."""
    statistic: Literal["Average", "Maximum", "Minimum", "Sum"]
    """Which value of each period counts."""
    period: Annotated[int, Field(ge=60, multiple_of=60)]
    """Seconds of one period."""
    periods: Annotated[int, Field(ge=1)]
    """For how many periods in a row the bound must be passed."""


class CloudAlert(Model):
    """A condition that only AWS can look at."""

    alert: Name
    """The condition's name."""
    cloud: CloudMetric
    """What AWS counts."""
    above: float | int | None = None
    """The condition is met above this value. Either this or `below` is written."""
    below: float | int | None = None
    """The condition is met below this value. Either this or `above` is written."""
    burstable: bool = False
    """Whether it is only about machines whose processor time is counted in credits."""
    text: str
    """What the alarm says is wrong."""

    @model_validator(mode="after")
    def _one_bound(self) -> "CloudAlert":
        if (self.above is None) == (self.below is None):
            raise ValueError("a cloud condition has either above or below, not both")
        return self


KINDS: dict[str, type[Model]] = {"host": Alert, "cloud": CloudAlert}


def _kind(value: Any) -> str:
    return "cloud" if isinstance(value, CloudAlert) or (isinstance(value, dict) and "cloud" in value) else "host"


AnyAlert = Annotated[Annotated[Alert, Tag("host")] | Annotated[CloudAlert, Tag("cloud")], Discriminator(_kind)]
