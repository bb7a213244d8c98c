"""What steps print, in a bucket: sent while they run, and whole at their end.

Made by `compute_logs`. Dagster's UI reads a log from the bucket on any machine. No run fails or
waits long because the bucket can't be reached: the log stays here then, and goes with the next one.
"""

import contextlib
import json
import logging
import threading
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

import obstore
from dagster._core.storage.cloud_storage_compute_log_manager import (
    CloudStorageComputeLogManager,
    PollingComputeLogSubscriptionManager,
)
from dagster._core.storage.compute_log_manager import (
    CapturedLogContext,
    CapturedLogSubscription,
    ComputeIOType,
)
from dagster._core.storage.local_compute_log_manager import (
    IO_TYPE_EXTENSION,
    LocalComputeLogManager,
)

from data_platform.engine.object_store import SCHEME, ObjectStore, split_url
from data_platform.errors import PlatformError
from data_platform.instance.local_logs import KINDS, LocalLogs
from data_platform.spec.platform import S3Connection

EVERY_SECONDS = 10
"""Between two uploads of what a step has printed so far."""
END_SECONDS = 20
"""That a step's end waits for its log to be sent."""
LARGEST_PARTIAL = 16 * 1024 * 1024
"""Bytes up to which a log is sent before its end: each time it is sent as a whole."""
_LATER = ".later"
"""A folder with a file for each log that isn't sent yet."""
_logger = logging.getLogger("dagster.data_platform.compute_logs")


class BucketLogs(CloudStorageComputeLogManager[Any]):
    """Logs in a bucket.

    Args:
        url: `s3://bucket/prefix`.
        folder: where they are while they are written.
    """

    def __init__(self, url: str, folder: Path) -> None:
        bucket, prefix = split_url(url)
        self._bucket, self._prefix = bucket, prefix.strip("/")
        self._local = LocalLogs(str(folder))
        self._later = folder / _LATER
        self._subscriptions = PollingComputeLogSubscriptionManager(self)
        self._objects = ObjectStore(S3Connection(type="s3"), bucket)

    @property
    def local_manager(self) -> LocalComputeLogManager:
        """Of the files on this machine."""
        return self._local

    @property
    def upload_interval(self) -> int:
        """In seconds."""
        return EVERY_SECONDS

    @contextmanager
    def capture_logs(self, log_key: Sequence[str]) -> Generator[CapturedLogContext]:
        """Write what is printed to the logs of a step, and send them."""
        ended = threading.Event()
        sender = threading.Thread(
            target=self._send_all, args=(log_key, ended), name="compute-logs", daemon=True
        )
        sender.start()
        try:
            with self._local.capture_logs(log_key) as context:
                yield context
        finally:
            self._note(log_key)
            ended.set()
            sender.join(END_SECONDS)

    def delete_logs(
        self, log_key: Sequence[str] | None = None, prefix: Sequence[str] | None = None
    ) -> None:
        """Remove logs here and there."""
        self._local.delete_logs(log_key=log_key, prefix=prefix)
        if log_key:
            keys = [
                self._key(log_key, kind, partial=partial)
                for kind in KINDS
                for partial in (False, True)
            ]
        else:
            below = self._joined(prefix or ())
            keys = [found.key for batch in self._objects.list(below) for found in batch]
        self._remove(keys)

    def download_url_for_type(self, log_key: Sequence[str], io_type: ComputeIOType) -> str | None:
        """An address at which it can be read for an hour; None while there is nothing."""
        if not self.is_capture_complete(log_key):
            return None
        key = self._key(log_key, io_type)
        with contextlib.suppress(PlatformError), self._objects.in_words(key):
            return obstore.sign(self._objects.store, "GET", key, timedelta(hours=1))
        return None

    def display_path_for_type(self, log_key: Sequence[str], io_type: ComputeIOType) -> str:
        """Where it is in the bucket."""
        return f"{SCHEME}{self._bucket}/{self._key(log_key, io_type)}"

    def cloud_storage_has_logs(
        self,
        log_key: Sequence[str],
        io_type: ComputeIOType,
        partial: bool = False,  # noqa: FBT001, FBT002 -- Dagster's
    ) -> bool:
        """Whether it is there; not while nobody knows."""
        try:
            return self._objects.find(self._key(log_key, io_type, partial=partial)) is not None
        except PlatformError as error:
            _logger.warning("compute logs can't be looked for: %s", error)
            return False

    def upload_to_cloud_storage(
        self,
        log_key: Sequence[str],
        io_type: ComputeIOType,
        partial: bool = False,  # noqa: FBT001, FBT002 -- Dagster's
    ) -> None:
        """Send a log.

        Raises:
            PlatformError: it can't be sent.
        """
        file, key = self._local.path(log_key, io_type), self._key(log_key, io_type, partial=partial)
        if not file.exists() or (partial and not 0 < file.stat().st_size <= LARGEST_PARTIAL):
            return
        with self._objects.in_words(key):
            obstore.put(self._objects.store, key, file)

    def download_from_cloud_storage(
        self,
        log_key: Sequence[str],
        io_type: ComputeIOType,
        partial: bool = False,  # noqa: FBT001, FBT002 -- Dagster's
    ) -> None:
        """Fetch a log, for Dagster's UI."""
        file = self._local.path(log_key, io_type, partial=partial)
        file.parent.mkdir(parents=True, exist_ok=True)
        key = self._key(log_key, io_type, partial=partial)
        with self._objects.in_words(key):
            file.write_bytes(obstore.get(self._objects.store, key).bytes())

    def on_subscribe(self, subscription: CapturedLogSubscription) -> None:
        """Somebody looks at a log while it is written."""
        self._subscriptions.add_subscription(subscription)

    def on_unsubscribe(self, subscription: CapturedLogSubscription) -> None:
        """And looks no more."""
        self._subscriptions.remove_subscription(subscription)

    def dispose(self) -> None:
        """Look for nothing any more."""
        self._subscriptions.dispose()
        super().dispose()

    def _joined(self, parts: Sequence[str]) -> str:
        return "/".join([*([self._prefix] if self._prefix else []), "storage", *parts])

    def _key(self, log_key: Sequence[str], kind: ComputeIOType, *, partial: bool = False) -> str:
        extension = f"{IO_TYPE_EXTENSION[kind]}{'.partial' if partial else ''}"
        return f"{self._joined(log_key)}.{extension}"

    def _send_all(self, log_key: Sequence[str], ended: threading.Event) -> None:
        """Send a log until its step has ended, then all that wait to be sent."""
        while not ended.wait(EVERY_SECONDS):
            with contextlib.suppress(PlatformError):
                for kind in KINDS:
                    self.upload_to_cloud_storage(log_key, kind, partial=True)
        for waiting in (log_key, *self._waiting()):
            try:
                self._send(waiting)
            except PlatformError as error:
                _logger.warning(
                    "compute logs can't be sent, and stay in %s until they can: %s",
                    self._later.parent,
                    error,
                )
                return

    def _send(self, log_key: Sequence[str]) -> None:
        """Send a log as a whole, and keep it here no longer."""
        for kind in KINDS:
            self.upload_to_cloud_storage(log_key, kind)
        self._remove([self._key(log_key, kind, partial=True) for kind in KINDS])
        with contextlib.suppress(OSError):
            self._note_of(log_key).unlink(missing_ok=True)
            self._local.delete_logs(log_key=log_key)

    def _remove(self, keys: Sequence[str]) -> None:
        with self._objects.in_words(""):
            obstore.delete(self._objects.store, keys)

    def _note(self, log_key: Sequence[str]) -> None:
        """Keep in mind that a log isn't sent yet, also for the next process."""
        with contextlib.suppress(OSError):  # a full disk fails no run
            self._later.mkdir(parents=True, exist_ok=True)
            self._note_of(log_key).write_text(json.dumps([*log_key]))

    def _note_of(self, log_key: Sequence[str]) -> Path:
        return self._later / "_".join(log_key)

    def _waiting(self) -> Generator[Sequence[str]]:
        """Logs of before that aren't sent; another process may send some meanwhile."""
        for note in sorted(self._later.glob("*")):
            with contextlib.suppress(OSError, ValueError):
                yield json.loads(note.read_text())
