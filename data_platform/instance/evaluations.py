"""Evaluations of automation that go from the code server to the database as one text.

`automation.evaluation` writes them, `storage` keeps them. An evaluation is a tree of some twenty
answers. Dagster's daemon would read those of all assets from the code server, write them, and write
them again once it has made the runs: 3.6 ms an asset for what it doesn't look at. What stands in
the database is Dagster's own form, which its UI reads.
"""

import base64
import zlib
from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from typing import Any, cast

from dagster._core.definitions.asset_key import EntityKey
from dagster._core.definitions.declarative_automation.serialized_objects import (
    AutomationConditionEvaluation,
    AutomationConditionEvaluationWithRunIds,
)
from dagster._core.scheduler.instigation import InstigatorTick, TickData
from dagster._core.storage.schedules.schema import AssetDaemonAssetEvaluationsTable
from dagster_postgres import PostgresScheduleStorage
from dagster_shared.serdes import serialize_value, whitelist_for_serdes
from sqlalchemy.dialects import postgresql

from data_platform.instance.evaluation_texts import text_of
from data_platform.instance.masked import masked

_PLACE = "the evaluation itself"


@whitelist_for_serdes
@dataclass
class WrittenEvaluation(AutomationConditionEvaluation[EntityKey]):
    """The uppermost answer of an evaluation, and all of it as text.

    Attributes:
        packed: the text, compressed.
    """

    packed: str = ""

    @classmethod
    def of(cls, evaluation: AutomationConditionEvaluation[EntityKey]) -> "WrittenEvaluation":
        """Write an evaluation."""
        packed = base64.b64encode(zlib.compress(text_of(evaluation).encode(), level=1))
        root = replace(evaluation, child_evaluations=[])
        own = {field.name: getattr(root, field.name) for field in fields(root)}
        return cls(**own, packed=packed.decode())

    @property
    def text(self) -> str:
        """Dagster's own form of the whole evaluation."""
        return zlib.decompress(base64.b64decode(self.packed)).decode()


class BriefSchedules(PostgresScheduleStorage):
    """Ticks, without secrets, and evaluations; those that are written already are kept so."""

    def create_tick(self, tick_data: TickData) -> InstigatorTick:
        """Keep a look of a sensor or schedule."""
        return super().create_tick(masked(tick_data))

    def update_tick(self, tick: InstigatorTick) -> InstigatorTick:
        """Keep what came of it; an error may quote an address."""
        return super().update_tick(tick._replace(tick_data=masked(tick.tick_data)))

    def add_auto_materialize_asset_evaluations(
        self,
        evaluation_id: int,
        asset_evaluations: Sequence[AutomationConditionEvaluationWithRunIds[EntityKey]],
    ) -> None:
        """Keep evaluations, in the place of those of the same tick that knew no runs yet."""
        if not asset_evaluations:
            return
        columns = AssetDaemonAssetEvaluationsTable.c
        insert = postgresql.insert(AssetDaemonAssetEvaluationsTable)
        changed = {
            name: insert.excluded[name] for name in ("asset_evaluation_body", "num_requested")
        }
        index = [columns.evaluation_id, columns.asset_key]
        rows = [
            {
                "evaluation_id": evaluation_id,
                "asset_key": evaluation.key.to_db_string(),
                "asset_evaluation_body": _body(evaluation),
                "num_requested": evaluation.num_requested,
            }
            for evaluation in asset_evaluations
        ]
        upsert = insert.on_conflict_do_update(index_elements=index, set_=changed)
        with self.connect() as connection:
            # It is one statement for many rows only where it returns something.
            connection.execute(upsert.returning(columns.id), rows)


def _body(told: AutomationConditionEvaluationWithRunIds[EntityKey]) -> str:
    """As Dagster writes it."""
    if not isinstance(told.evaluation, WrittenEvaluation):
        return serialize_value(told)
    around = AutomationConditionEvaluationWithRunIds(cast(Any, _PLACE), told.run_ids)
    return serialize_value(around).replace(serialize_value(_PLACE), told.evaluation.text)
