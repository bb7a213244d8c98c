"""What an `assets.py` holds, read and with full keys.

Made by `handwritten.reading`, run by `handwritten.assets`.
"""

from dataclasses import dataclass, field

import dagster as dg

from data_platform.engine.lake_frames import FrameType
from data_platform.errors import Problem
from data_platform.spec.handwritten import Handwritten


@dataclass(frozen=True)
class Parameter:
    """A parameter of a function that gets rows.

    Attributes:
        name: of the parameter.
        key: of the asset.
        type: as what it gets them.
        columns: only these; None means all.
    """

    name: str
    key: dg.AssetKey
    type: FrameType
    columns: tuple[str, ...] | None = None


@dataclass(frozen=True)
class WrittenStep:
    """One decorated function.

    Attributes:
        name: of its step.
        definition: as Dagster made it; its keys are as written.
        keys: full keys by written ones.
        outputs: the full key of each output.
        parameters: that get rows.
        dimensions: how the file calls those of its partitions' keys, by the platform's names.
    """

    name: str
    definition: dg.AssetsDefinition = field(repr=False)
    keys: dict[dg.AssetKey, dg.AssetKey]
    outputs: dict[str, dg.AssetKey]
    parameters: tuple[Parameter, ...]
    dimensions: dict[str, str] = field(default_factory=dict[str, str])


@dataclass(frozen=True)
class AssetsFile:
    """What an `assets.py` holds.

    Attributes:
        assets: in the words of the language.
        steps: that make them.
        checks: functions that judge what is published, with full keys.
        others: schedules, sensors and jobs, as they are.
        problems: what is wrong; with any that is no warning, nothing of the file is used.
    """

    assets: tuple[Handwritten, ...] = ()
    steps: tuple[WrittenStep, ...] = ()
    checks: tuple[dg.AssetChecksDefinition, ...] = ()
    others: tuple[object, ...] = ()
    problems: tuple[Problem, ...] = ()

    @property
    def sound(self) -> bool:
        """Whether there is nothing but warnings."""
        return all(problem.warning for problem in self.problems)
