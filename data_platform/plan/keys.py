"""The key of an asset, by which everything names it."""

from typing import NamedTuple


class Key(NamedTuple):
    """An asset's key: `[layer, pipeline, name]` in Dagster, `layer/pipeline/name` in text."""

    layer: str
    pipeline: str
    name: str

    def __str__(self) -> str:
        return "/".join(self)

    @property
    def relation(self) -> str:
        """The name under which SQL of the platform's reads the asset."""
        return f"{self.pipeline}.{self.layer}.{self.name}"

    @classmethod
    def parse(cls, text: str) -> "Key":
        """From `layer/pipeline/name`."""
        return cls(*text.split("/"))
