"""What came of a run, as `on_finish` gets it: plain values, true to the outcome.

Made by `reading`; given to a person's function by `calling`. Knows nothing of Dagster.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Literal

Outcome = Literal["success", "failed", "canceled"]


@dataclass(frozen=True)
class AssetFacts:
    """What came of an asset of a run.

    Attributes:
        key: `layer/pipeline/name`.
        outcome: `skipped` where its step didn't end: something above it failed, or the run died.
        partitions: that were published or needed no change; 1 where it has none.
        failed_partitions: that weren't published.
        rows_in, rows_out, rows_quarantined: of its published partitions.
        seconds: of its step.
        message: why it failed.
    """

    key: str
    outcome: Literal["success", "failed", "skipped"]
    partitions: int
    failed_partitions: tuple[str, ...]
    rows_in: int
    rows_out: int
    rows_quarantined: int
    seconds: float
    message: str | None


@dataclass(frozen=True)
class RunFacts:
    """What came of a run of a pipeline.

    Attributes:
        pipeline: its name.
        run_id: Dagster's; the same in a second call about one run.
        outcome: `success` only if the run and all of its assets succeeded.
        assets: of this pipeline, in the order of its plan.
        seconds: from its start to its end; 0 where it never started.
        cause: why it was started, in short words; None where nobody said.
        link: the path of the run in Dagster's UI.
        message: what Dagster said of the end of a run that failed.
    """

    pipeline: str
    run_id: str
    outcome: Outcome
    assets: tuple[AssetFacts, ...]
    seconds: float
    cause: str | None
    link: str
    message: str | None = None

    @property
    def rows(self) -> int:
        """Rows that left all assets."""
        return sum(asset.rows_out for asset in self.assets)

    @property
    def failed(self) -> tuple[AssetFacts, ...]:
        """The assets that failed."""
        return tuple(asset for asset in self.assets if asset.outcome == "failed")

    @property
    def text(self) -> str:
        """One line for people: `shop failed: raw/shop/x; 120 rows in 3 of 5 assets, 4 s`."""
        verb = {"success": "succeeded", "failed": "failed", "canceled": "was canceled"}
        names = ", ".join(asset.key for asset in self.failed)
        made = sum(asset.outcome == "success" for asset in self.assets)
        about = f": {names}" if names else ""
        figures = f"{self.rows:,} rows in {made} of {len(self.assets)} assets"
        return f"{self.pipeline} {verb[self.outcome]}{about}; {figures}, {self.seconds:.0f} s"

    def as_json(self) -> dict[str, Any]:
        """For another process."""
        return asdict(self)

    @classmethod
    def from_json(cls, told: Mapping[str, Any]) -> "RunFacts":
        """What `as_json` gave."""
        assets = tuple(
            AssetFacts(**{**one, "failed_partitions": tuple(one["failed_partitions"])})
            for one in told["assets"]
        )
        return cls(**{**told, "assets": assets})
