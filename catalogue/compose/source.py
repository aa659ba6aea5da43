"""Where a system takes a compose file of its product's makers from, and what of it does not hold here."""

from catalogue.compose.durations import Pause
from catalogue.fields import EnvironmentName, Line, Model, PathBelow


class ComposeSource(Model):
    """A compose file of the product's makers. What it says of a service, the entry of that name under `services`
    completes and overrides."""

    file: PathBelow
    """The compose file, below `files/static/`."""
    variables: dict[EnvironmentName, str] = {}
    """Values of the variables (`${NAME}`) in that file, by their names."""
    without: list[Line] = []
    """What of the file beside its services is left out, by its path, such as `networks.back.internal` or
    `volumes.data.labels`."""
    step_limits: dict[Line, Pause] = {}
    """How long a container of the file that runs once may take, by its name there; `10m` where nothing is written."""
    apart: list[Line] = []
    """Services that share no network in the file, as they can reach each other here. The program sets it."""
