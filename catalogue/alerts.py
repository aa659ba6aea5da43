"""What should not be, on a host and of what AWS runs: the shape of `files/alerts.yaml`."""

from typing import Annotated, Any, Literal

from pydantic import Discriminator, Field, Tag, model_validator

from catalogue.fields import Model, Name, written_as

Measure = Literal[
    "unit down", "unit restarts", "unit failed", "unit stopped", "service unwell", "single twice", "proxy down",
    "proxy server errors", "certificate", "network", "container attachment", "legacy network", "name resolution",
    "open port", "container memory", "memory kills", "memory", "swap", "disk", "inodes", "clock", "release unfinished",
    "registry login", "container traffic", "certificate renewal",
    "release overridden", "backup age", "backup drill",
]  # fmt: skip
PERCENT = ("memory", "swap", "disk", "inodes", "container memory", "proxy server errors")
OF_PROXY = ("proxy down", "proxy server errors", "certificate", "certificate renewal")
_METRIC = (
    r"^[A-Z][A-Za-z0-9]{0,63}$",
    "a metric's name, such as DiskUsed: a capital, then letters and digits, at most 64",
)
MetricName = Annotated[str, written_as(*_METRIC)]


class Alert(Model):
    """An alert condition: what is measured on a host is above `above`. `within` are seconds,
    `least` how many must have been seen for it to count; `text` may name subject, value and these fields. `repair` is
    what a host's monitor does about it by itself. Under `metric` the worst value of its subjects is published."""

    alert: Name
    measure: Measure
    above: float | int
    within: int = 0
    least: int = 0
    text: str
    repair: Literal["restart docker", "make network", "attach", "start", "prune"] | None = None
    metric: MetricName | None = None

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
            raise ValueError(f"above: {self.above} is no bound of a percentage; at least 0, below 100")
        return self

    @property
    def of_proxy(self) -> bool:
        """Has it subjects only where there is a proxy."""
        return self.measure in OF_PROXY


class CloudMetric(Model):
    """What AWS itself counts of a machine: `statistic` of each `period` (seconds), for `periods` of them in a row."""

    namespace: Annotated[str, written_as(r"^AWS/[A-Za-z0-9]+$", "a namespace of AWS's own, such as AWS/EC2")]
    metric: MetricName
    statistic: Literal["Average", "Maximum", "Minimum", "Sum"]
    period: Annotated[int, Field(ge=60, multiple_of=60)]
    periods: Annotated[int, Field(ge=1)]


class CloudAlert(Model):
    """A condition that only AWS can look at: what it counts of a machine is `above` or `below`. One that is `burstable`
    is about machines whose processor time is counted in credits; `text` says what is wrong."""

    alert: Name
    cloud: CloudMetric
    above: float | int | None = None
    below: float | int | None = None
    burstable: bool = False
    text: str

    @model_validator(mode="after")
    def _one_bound(self) -> "CloudAlert":
        if (self.above is None) == (self.below is None):
            raise ValueError("a condition of the cloud is either above or below a value")
        return self


KINDS: dict[str, type[Model]] = {"host": Alert, "cloud": CloudAlert}


def _kind(value: Any) -> str:
    return "cloud" if isinstance(value, CloudAlert) or (isinstance(value, dict) and "cloud" in value) else "host"


AnyAlert = Annotated[Annotated[Alert, Tag("host")] | Annotated[CloudAlert, Tag("cloud")], Discriminator(_kind)]
