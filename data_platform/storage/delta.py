"""A table of Delta at a place: opened in a version, committed to, by several writers at once.

Called by `storage.lake`, which knows what the files mean, and by whoever keeps tables in order. A
commit on S3 is one object that is only made where none is, so nothing but the bucket is needed for
two writers to know of each other.
"""

# pyright: reportMissingTypeStubs=false, reportUnknownMemberType=false
# pyright: reportUnknownParameterType=false, reportUnknownArgumentType=false
# pyright: reportUnknownVariableType=false, reportUnknownLambdaType=false
# deltalake comes without types.

import json
import random
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from deltalake import CommitProperties, DeltaTable, PostCommitHookProperties, Schema
from deltalake.exceptions import CommitFailedError, DeltaError, TableNotFoundError
from deltalake.transaction import AddAction, RemoveAction, create_table_with_add_actions

from data_platform.errors import StorageError, StorageUnavailable
from data_platform.storage.places.place import Place

COMMIT_TRIES = 20
BROKEN_TRIES = 2
"""How often a commit is tried again whose answer didn't come, though the line was tried as often as
it may be: Delta sends a commit only once."""
COMMITS_AT_ONCE = 64
"""That are read together at most; the newest are read one by one, since they mostly tell all."""
LOG = "_delta_log"
"""Below a table: a file a commit, named by its version, and checkpoints."""
CHECKPOINT_EVERY = 10
"""Commits. Whoever opens a table reads each commit since the last checkpoint: requests, on S3."""
_CONFIGURATION = {"delta.checkpointInterval": f"{CHECKPOINT_EVERY}"}
# Else Delta lists the whole log after each commit, to remove what is older than a month.
_HOOKS = PostCommitHookProperties(cleanup_expired_logs=False)


class Overtaken(StorageUnavailable):
    """Somebody else committed what a commit was to build on: to commit again can't help."""


class DeltaLog:
    """The commits of one table.

    Args:
        place: of the lake.
        relative: the table's folder there.
    """

    def __init__(self, place: Place, relative: str) -> None:
        self._place = place
        self._relative = relative
        self._path = place.path_of(relative)

    def opened(self, version: int | None = None) -> DeltaTable | None:
        """The table in its newest version or an older one; None where there is no table.

        Raises:
            StorageUnavailable: its place can't be reached.
            StorageError: it can't be read.
        """
        with self._place.in_words(self._relative):
            try:
                return DeltaTable(self._path, version, self._options)
            except TableNotFoundError:
                return None

    def create(
        self,
        schema: Schema,
        actions: Sequence[AddAction],
        fields: list[str] | None,
        properties: CommitProperties,
    ) -> int:
        """Make the table with its first files.

        Args:
            schema: of it, columns of partitions included.
            actions: its files.
            fields: the columns of partitions.
            properties: of the commit.

        Returns:
            Its version.
        """
        create_table_with_add_actions(
            self._path, schema, [*actions], "error", partition_by=fields,
            configuration=_CONFIGURATION, storage_options=self._options,
            commit_properties=properties, post_commithook_properties=_HOOKS,
        )  # fmt: skip
        return 0

    @staticmethod
    def overwrite(
        table: DeltaTable,
        actions: Sequence[AddAction | RemoveAction],
        schema: Schema,
        partitions: tuple[str, str, object] | None,
        properties: CommitProperties,
    ) -> int:
        """Let files take the place of what is in some partitions, or in the table.

        Args:
            table: opened; what others committed since to other partitions stays.
            actions: the files.
            schema: of the table from now on.
            partitions: which, as a filter of Delta; None where the table has none.
            properties: of the commit.

        Returns:
            The table's version after it.
        """
        table.create_write_transaction(
            [*actions], "overwrite", schema, [partitions[0]] if partitions else None,
            partition_filters=[partitions] if partitions else None,
            commit_properties=properties, post_commithook_properties=_HOOKS,
        )  # fmt: skip
        table.update_incremental()
        return table.version()

    def note(self, properties: CommitProperties) -> int:
        """Commit what a commit says, and no files, to a table that is there."""
        table = self.opened()
        if table is None:
            raise StorageError(f"{self._path}: there is no table of which something could be said")
        table.create_write_transaction(
            [], "append", table.schema(), [*table.metadata().partition_columns],
            commit_properties=properties, post_commithook_properties=_HOOKS,
        )  # fmt: skip
        table.update_incremental()
        return table.version()

    def insist(
        self, commit: Callable[[], int], standing: Callable[[], int | None] = lambda: None
    ) -> int:
        """Commit anew as long as others commit at the same moment, or the line breaks.

        Args:
            commit: gives the table's version after it.
            standing: the same where the commit is there already, else None: of one whose answer
                got lost nobody knows.

        Raises:
            StorageUnavailable: they kept doing so, or the place can't be reached.
            StorageError: the commit is refused.
        """
        broken = 0
        for attempt in range(COMMIT_TRIES):
            try:
                with self._place.in_words(self._relative):
                    return commit()
            except CommitFailedError:
                wait = 0.01 * 2 ** min(attempt, 6)
            except Overtaken:
                raise
            except StorageUnavailable:
                broken += 1
                if broken > BROKEN_TRIES:
                    raise
                wait = 0.1 * 2**broken
            except DeltaError as error:
                if "already exists" not in str(error).lower():
                    raise StorageError(f"{self._path}: {error}") from error
                wait = 0
            there = standing()
            if there is not None:
                return there
            time.sleep(wait * random.uniform(0.5, 1.5))  # noqa: S311 -- no secret
        raise StorageUnavailable(
            f"{self._path}: other writers kept committing; {COMMIT_TRIES} tries"
        )

    def commits_from(self, version: int) -> Iterator[dict[str, Any]]:
        """What a commit and those before it say of themselves, newest first.

        They are read as they are asked for, as far as the log tells them: whoever keeps a log short
        takes the oldest away. Delta's own way to read them lets no other thread run meanwhile.
        """
        at_once = 1
        while version >= 0:
            versions = range(version, max(-1, version - at_once), -1)
            names = [f"{self._relative}/{LOG}/{one:020}.json" for one in versions]
            for content in self._place.read_all(names):
                if content is None:
                    return
                yield _info_of(content)
            version -= at_once
            at_once = min(2 * at_once, COMMITS_AT_ONCE)

    @property
    def _options(self) -> dict[str, str] | None:
        options: Mapping[str, str] | None = self._place.storage_options
        return dict(options) if options is not None else None


def _info_of(content: bytes) -> dict[str, Any]:
    """What a commit says of itself; of those of other writers that may be nothing."""
    for line in content.splitlines():
        # Lines of files are many, and need not be parsed; no other action is called so.
        if line.lstrip().startswith(b'{"commitInfo"'):
            return json.loads(line)["commitInfo"]
    return {}
