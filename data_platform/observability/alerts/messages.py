"""What is sent: a title of one line, a short body, and the same as values for programs.

Made by `words` and `ends`, kept by `outbox`, sent by `channels`. Knows nothing of Dagster.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Literal

from pydantic import TypeAdapter

from data_platform.secrets.masker import mask
from data_platform.spec.alerts import Severity


@dataclass(frozen=True)
class Message:
    """A message.

    Attributes:
        id: of it: whoever gets two with one id has got one twice.
        subject: what it is about: an incident's id, the same in all its messages.
        turn: whether it is the first of its subject, a further one, or the last; `told` is of no
            incident.
        severity: how bad it is.
        title: one line, without markup.
        body: Markdown.
        link: to the run or asset in Dagster's UI.
        values: the same for programs.
    """

    id: str
    subject: str
    turn: Literal["opened", "worse", "repeated", "recovered", "told", "test"]
    severity: Severity
    title: str
    body: str
    link: str | None = None
    values: Mapping[str, Any] = field(default_factory=dict[str, Any])

    @property
    def is_good(self) -> bool:
        """Whether it says that something is well."""
        return self.turn == "recovered" or self.values.get("event") == "success"

    def masked(self) -> "Message":
        """The message without any secret that this process knows."""
        return replace(
            self,
            title=mask(self.title),
            body=mask(self.body),
            values={name: _masked(value) for name, value in self.values.items()},
        )


def _masked(value: Any) -> Any:
    match value:
        case str():
            return mask(value)
        case Mapping():
            return {name: _masked(below) for name, below in value.items()}
        case list() | tuple():
            return [_masked(below) for below in value]
        case _:
            return value


KEPT = TypeAdapter(Message)
"""Turns messages into JSON and back."""
