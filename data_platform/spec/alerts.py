"""Who is told when something is wrong: `alerts` of platform.yaml, and `notify` of a pipeline.

Used by `spec.platform` and `spec.pipeline`; resolved by `observability.alerts`. A channel's address
stays as written, since it is a secret.
"""

from collections.abc import Iterable
from datetime import timedelta
from typing import Annotated, Literal, get_args

from pydantic import Field, ValidationError, model_validator
from pydantic_core import InitErrorDetails

from data_platform.spec.model import Model
from data_platform.spec.times import Duration
from data_platform.spec.values import AssetName, Name, OneOrMany, Owner, PipelineName
from data_platform.spec.wording import problem

Event = Literal[
    "failure",
    "check_failed",
    "stale",
    "quarantined",
    "over_budget",
    "broken_pipeline",
    "daemon_down",
    "recovered",
    "success",
]
"""What a channel may be told of."""
Severity = Literal["info", "warning", "error", "critical"]
"""How bad it is, from what merely happened on."""
SEVERITIES: tuple[Severity, ...] = get_args(Severity)


Channels = Annotated[list[Name], Field(min_length=1), OneOrMany()]


class Channel(Model):
    """Where messages go."""

    url: Annotated[str, Field(repr=False)]
    """Any address of Apprise, by reference: `slack://...`, `mailto://...`, `json://...`,
    `pagerduty://...`. Where it resolves to nothing, the channel is off, and `status` says so."""


class When(Model):
    """Which messages a route is for: those of which all of this is true."""

    owner: Annotated[list[Owner], OneOrMany()] | None = None
    """Whose assets."""
    tag: Annotated[list[str], OneOrMany()] | None = None
    """Which an asset has: a word, or `word=value`."""
    pipeline: Annotated[list[PipelineName], OneOrMany()] | None = None
    """Of which pipelines."""
    asset: Annotated[list[AssetName], OneOrMany()] | None = None
    """Of which assets: `pipeline.layer.name`, or `layer.name` of any pipeline."""
    event: Annotated[list[Event], OneOrMany()] | None = None
    """What happened; None means all but `success`, of which whoever wants it has to ask."""
    severity: Severity | None = None
    """This bad, or worse."""


class Route(Model):
    """Which messages go where; a message takes each route that is for it, each channel once."""

    when: When = When()
    """Left out, it is for all messages."""
    to: Channels
    """Names of channels."""


class Alerts(Model):
    """Who is told."""

    channels: dict[Name, Channel] = Field(default_factory=dict)
    """By their names."""
    routes: list[Route] = Field(default_factory=list[Route])
    """None means that all channels are told of everything but `success`."""
    repeat_after: Duration = timedelta(hours=4)
    """What is still wrong after so long is told again; until then nobody hears of it twice."""
    link: str | None = None
    """Where Dagster's UI is, for the links in messages: `https://dagster.example.com`."""

    @model_validator(mode="after")
    def _names_channels(self) -> "Alerts":
        wrong = [
            InitErrorDetails(
                type=problem("channel", no_channel(self.channels), name),
                loc=("routes", number, "to"),
                input=name,
            )
            for number, route in enumerate(self.routes)
            for name in route.to
            if name not in self.channels
        ]
        if wrong:
            raise ValidationError.from_exception_data("Alerts", wrong)
        return self


def no_channel(channels: Iterable[str]) -> str:
    """What is said of a name that isn't among the channels; `{found}` stands for it."""
    known = ", ".join(channels) or "none"
    return f"{{found}} is no channel of `alerts` in platform.yaml; there are: {known}"


class Notify(Model):
    """Who hears of each end of a pipeline's runs, with its rows and seconds."""

    to: Channels
    """Names of channels of platform.yaml."""
    on: Annotated[list[Literal["success", "failure"]], Field(min_length=1), OneOrMany()] = Field(
        default=["success", "failure"]
    )
    """Which ends."""
