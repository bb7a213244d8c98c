"""What sensors ask of the pipelines: the plan, what is outside, and the lake.

`loading.Loaded` is one; it isn't known here, since it stands above.
"""

from typing import Protocol

from data_platform.engine.outside import Outside
from data_platform.plan.pipelines import Plan
from data_platform.spec.reading import Workspace
from data_platform.storage.lake import Lake
from data_platform.storage.workbench import Workbench


class Pipelines(Protocol):
    """All pipelines, and the way from their names to real things."""

    @property
    def workspace(self) -> Workspace:
        """As read."""
        ...

    @property
    def plan(self) -> Plan:
        """What will exist."""
        ...

    def outside(self) -> Outside:
        """What the pipelines connect to."""
        ...

    def lake(self) -> Lake:
        """The lake."""
        ...

    def workbench(self) -> Workbench:
        """The lake, and what one may take of the machine to read it."""
        ...
