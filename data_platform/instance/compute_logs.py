"""Where what steps print is kept: below the data folder, or in a bucket.

Owns the class that `dagster.yaml` names; `DATA_PLATFORM_COMPUTE_LOGS=s3://bucket/prefix` is a
bucket.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from dagster import Field, StringSource
from dagster._config import UserConfigSchema
from dagster._core.storage.compute_log_manager import ComputeLogManager
from dagster._serdes import ConfigurableClassData

from data_platform.instance.local_logs import LocalLogs
from data_platform.settings import load_settings

FOLDER = "compute_logs"


class PlatformComputeLogs(LocalLogs):
    """What steps print, in `<data_dir>/compute_logs`, or where the settings say."""

    @classmethod
    def config_type(cls) -> UserConfigSchema:
        """The folder defaults to the settings'."""
        return {"data_dir": Field(StringSource, is_required=False)}

    @classmethod
    def from_config_value(  # pyright: ignore[reportIncompatibleMethodOverride] -- either of two
        cls, inst_data: ConfigurableClassData | None, config_value: Mapping[str, Any]
    ) -> ComputeLogManager[Any]:
        """Make the folder if it is missing."""
        settings = load_settings()
        folder = Path(config_value.get("data_dir") or settings.data_dir) / FOLDER
        folder.mkdir(parents=True, exist_ok=True)
        if settings.compute_logs:
            # Imported here: obstore takes its time, and most processes have no bucket.
            from data_platform.instance.bucket_logs import BucketLogs  # noqa: PLC0415

            return BucketLogs(settings.compute_logs, folder)
        return cls(str(folder), inst_data=inst_data)
