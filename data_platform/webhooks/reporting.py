"""What a webhook tells, put into Dagster: each request once, on whatever server it comes.

Called by `serving`. Signatures that were taken are kept in Dagster's storage for as long as they
would be valid, so that neither a second server nor a restart takes one again.
"""

import time
from collections.abc import Mapping
from http import HTTPStatus
from typing import Annotated, Any

import dagster as dg
from dagster._core.definitions.data_version import DATA_VERSION_TAG
from dagster._core.storage.runs.schema import KeyValueStoreTable
from dagster._core.storage.runs.sql_run_storage import SqlRunStorage
from pydantic import Field, ValidationError
from sqlalchemy.exc import IntegrityError

from data_platform.asset_specs import external_key
from data_platform.plan.declared import partitions_of
from data_platform.spec.model import Model
from data_platform.spec.outside import ExternalAsset
from data_platform.spec.rule_model import Scalar
from data_platform.webhooks.signing import SKEW, RefusedError

CAUSE = "webhook"
_TAKEN = "data_platform/webhook/"


class Told(Model):
    """The body of a request."""

    data_version: Annotated[str, Field(min_length=1, max_length=200)]
    """Another one where the asset's content is another one; the same one starts nothing."""
    partition: str | None = None
    """Of an asset that has partitions."""
    metadata: Annotated[dict[str, Scalar], Field(max_length=50)] = Field(default_factory=dict)
    """Shown beside the materialization."""


class Reporter:
    """Reports new versions of external assets.

    Args:
        instance: Dagster's.
        assets: those of platform.yaml, by their keys.
    """

    def __init__(self, instance: dg.DagsterInstance, assets: Mapping[str, ExternalAsset]) -> None:
        self._instance = instance
        self._assets = assets

    def report(self, key: str, body: bytes, signature: str) -> dict[str, Any]:
        """Report a version, and tell what was done.

        Args:
            key: of the asset.
            body: JSON of `Told`.
            signature: of the request, which is sound.

        Raises:
            RefusedError: it can't be, or was done before.
        """
        told = self._told(key, body)
        self._take(signature)
        try:
            self._instance.report_runless_asset_event(
                dg.AssetMaterialization(
                    external_key(key),
                    partition=told.partition,
                    metadata={**told.metadata, "told_by": CAUSE},
                    tags={DATA_VERSION_TAG: told.data_version},
                )
            )
        except BaseException:
            self._give_back(signature)
            raise
        return {"asset": key, "partition": told.partition, "data_version": told.data_version}

    def _told(self, key: str, body: bytes) -> Told:
        asset = self._assets.get(key)
        if asset is None:
            known = ", ".join(self._assets) or "none"
            raise RefusedError(
                HTTPStatus.NOT_FOUND, f"{key!r} is no external asset; there are {known}"
            )
        try:
            told = Told.model_validate_json(body)
        except ValidationError as error:
            first = error.errors(include_url=False)[0]
            place = ".".join(map(str, first["loc"])) or "the body"
            raise RefusedError(HTTPStatus.BAD_REQUEST, f"{place}: {first['msg']}") from None
        partitions = partitions_of(asset.partitions)
        if (partitions is None) != (told.partition is None):
            about = "has none" if partitions is None else "has some: name one"
            raise RefusedError(HTTPStatus.BAD_REQUEST, f"partition: {key} {about}")
        if partitions is not None and not partitions.is_key(told.partition or ""):
            raise RefusedError(
                HTTPStatus.BAD_REQUEST, f"partition: {key} has no partition {told.partition!r}"
            )
        return told

    @property
    def _storage(self) -> SqlRunStorage:
        storage = self._instance.run_storage
        if not isinstance(storage, SqlRunStorage):
            raise TypeError(storage)
        return storage

    def _take(self, signature: str) -> None:
        """Remember a signature: of two who come with the same one, one is refused."""
        table, now = KeyValueStoreTable, int(time.time())
        with self._storage.connect() as connection:
            old = table.c.key.startswith(_TAKEN) & (table.c.value < f"{now - 2 * SKEW:012}")
            connection.execute(table.delete().where(old))
        try:
            with self._storage.connect() as connection:
                row = {"key": f"{_TAKEN}{signature}", "value": f"{now:012}"}
                connection.execute(table.insert().values(row))
        except IntegrityError:
            raise RefusedError(
                HTTPStatus.CONFLICT, "this very request was taken before: sign a new timestamp"
            ) from None

    def _give_back(self, signature: str) -> None:
        table = KeyValueStoreTable
        with self._storage.connect() as connection:
            connection.execute(table.delete().where(table.c.key == f"{_TAKEN}{signature}"))
