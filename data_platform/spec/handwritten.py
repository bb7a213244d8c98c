"""An asset of an `assets.py`, in the words of the language.

Made by `handwritten.reading` from what its decorator says; resolved by `plan` like any other.
"""

from dataclasses import dataclass, field

from data_platform.errors import Location
from data_platform.spec.asset import LakeAsset, Window

ASSETS_FILE = "assets.py"
"""Beside `pipeline.yaml`."""
UNNAMED = "value"
"""The dimension of static partitions, which Dagster gives no name, where nothing tells another."""


class HandwrittenAsset(LakeAsset):
    """What the metadata of an asset may say beside what Dagster's own arguments say."""

    partition_expr: str | None = None
    """The column that tells the partition of a row, where one call makes a range of them."""
    skip_unchanged: bool | None = None
    """Whether it needn't be called where its inputs, its code and its configuration are those of
    last time. Left out: where it reads assets, and neither a resource nor its own configuration."""


@dataclass(frozen=True)
class FunctionInput:
    """What a function reads.

    Attributes:
        reference: `pipeline.layer.name`.
        window: which partitions; None means the same one.
    """

    reference: str
    window: Window | None = None


@dataclass(frozen=True)
class Handwritten:
    """An asset that a function makes.

    Attributes:
        key: layer, pipeline, name.
        spec: what it says.
        location: of the function.
        function: its name, `module.name`.
        step: the name of the step, which may make several assets.
        inputs: what it reads.
        by_range: whether one call makes a range of partitions; else it is called for each.
        code: its source, whose change is a new version of the code.
        code_version: what a person said instead.
        reads_outside: whether it asks for resources or a configuration of its own.
    """

    key: tuple[str, str, str]
    spec: HandwrittenAsset
    location: Location
    function: str
    step: str
    inputs: tuple[FunctionInput, ...] = ()
    by_range: bool = False
    code: str = field(default="", repr=False)
    code_version: str | None = None
    reads_outside: bool = False
