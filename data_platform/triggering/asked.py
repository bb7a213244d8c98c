"""What somebody else's orchestrator asks for, and what it is told.

Made by the command; launched by `in_instance` or `over_http`, which agree on what a key means: the
same key is the same run, whoever asks and however often.
"""

import time
import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from data_platform.instance.audit_trail import actor
from data_platform.instance.users import USER_TAG
from data_platform.run_tags import CAUSE_TAG, FORCE_TAG

_KEYS = uuid.UUID("6c1f7bd2-54a6-4c0e-8f0a-6f3a3a6a2c11")
SUCCESS = "SUCCESS"
ENDS = frozenset({SUCCESS, "FAILURE", "CANCELED"})
TRIGGER_TAG = "data_platform/trigger_key"
"""Of a run that was asked for with a key: `<pipeline>/<key>`."""
_FIRST_PAUSE, _LONGEST_PAUSE = 0.2, 5.0


@dataclass(frozen=True)
class Asked:
    """A run that is asked for.

    Attributes:
        pipeline: its name.
        select: keys, `layer/name`; empty means all assets.
        partition: None means the newest that is due.
        cause: why, in words.
        key: the same one asks for the same run; None means another run.
        force: compute though nothing changed.
    """

    pipeline: str
    select: Sequence[str]
    partition: str | None
    cause: str
    key: str | None = None
    force: bool = False

    @property
    def run_id(self) -> str:
        """Of the run: Dagster takes each once, so that two who ask at once get one run."""
        return str(uuid.uuid5(_KEYS, f"{self.pipeline}/{self.key}") if self.key else uuid.uuid4())

    @property
    def tags(self) -> dict[str, str]:
        """That tell of it: why, and by which key."""
        known = {TRIGGER_TAG: f"{self.pipeline}/{self.key}"} if self.key else {}
        forced = {FORCE_TAG: "true"} if self.force else {}
        return {CAUSE_TAG: self.cause_text, USER_TAG: actor().name, **known, **forced}

    @property
    def cause_text(self) -> str:
        """As the tag says it."""
        return f"trigger {self.cause}".strip()


@dataclass(frozen=True)
class Launched:
    """A run that was launched, now or by an earlier question with the same key.

    Attributes:
        run_id: of it.
        link: where it can be looked at.
        is_new: whether this question launched it.
    """

    run_id: str
    link: str
    is_new: bool


class Launcher(Protocol):
    """Whoever launches."""

    def launch(self, asked: Asked) -> Launched:
        """Launch the run, or find the one of its key."""
        ...

    def status(self, run_id: str) -> str:
        """Of a run, as Dagster calls it."""
        ...


def wait_for_end(launcher: Launcher, run_id: str) -> str:
    """The status with which a run ended."""
    pause = _FIRST_PAUSE
    while (status := launcher.status(run_id)) not in ENDS:
        time.sleep(pause)
        pause = min(pause * 1.5, _LONGEST_PAUSE)
    return status
