"""What steps print, in files of this machine, without secrets.

Called by `compute_logs` and `bucket_logs`. It is Dagster's own manager but for how streams are led
into files: Dagster starts four processes for each step, and writes what comes as it is.
"""

import sys
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from pathlib import Path

from dagster._core.storage.compute_log_manager import CapturedLogContext, ComputeIOType
from dagster._core.storage.local_compute_log_manager import (
    IO_TYPE_EXTENSION,
    LocalComputeLogManager,
)

from data_platform.logs.streams import masked_streams
from data_platform.logs.surroundings import about

KINDS = (ComputeIOType.STDOUT, ComputeIOType.STDERR)


class LocalLogs(LocalComputeLogManager):
    """Logs in files."""

    @contextmanager
    def capture_logs(self, log_key: Sequence[str]) -> Generator[CapturedLogContext]:
        """Write what is printed to the logs of a step."""
        out, err = (self.path(log_key, kind) for kind in KINDS)
        with about({"run": log_key[0]}), masked_streams([(sys.stdout, out), (sys.stderr, err)]):
            yield CapturedLogContext(log_key)
        Path(self.complete_artifact_path(log_key)).touch()

    def path(self, log_key: Sequence[str], kind: ComputeIOType, *, partial: bool = False) -> Path:
        """Of a log."""
        return Path(self.get_captured_local_path(log_key, IO_TYPE_EXTENSION[kind], partial))
