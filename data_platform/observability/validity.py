"""Pipelines that have mistakes stay in sight: their assets, and a failed check that says why.

Called by `definitions`. The check `platform/pipelines_valid` is evaluated by a sensor whenever what
is wrong changes, so nobody has to run it.
"""

import hashlib
from collections.abc import Iterable, Sequence

import dagster as dg

from data_platform.asset_specs import platform_key
from data_platform.errors import Problem

CHECK = "pipelines_valid"
MAX_SHOWN = 50


def broken_asset_specs(keys: Iterable[Sequence[str]]) -> list[dg.AssetSpec]:
    """External assets that stand in for those of pipelines that can't be loaded."""
    return [
        dg.AssetSpec(
            dg.AssetKey(list(key)),
            group_name=key[1],
            description="Its pipeline has mistakes: see the check `pipelines_valid` of `platform`, "
            "or run `data-platform check`.",
            kinds={"broken"},
        )
        for key in keys
    ]


def platform_definitions(problems: Sequence[Problem]) -> dg.Definitions:
    """The asset `platform`, its check, and the sensor that evaluates it."""
    evaluation = _evaluation(problems)

    @dg.asset_check(
        asset=platform_key(), name=CHECK, description="Every pipeline file is without mistakes."
    )
    def check() -> dg.AssetCheckResult:
        return dg.AssetCheckResult(
            passed=evaluation.passed,
            severity=evaluation.severity,
            metadata=dict(evaluation.metadata),
        )

    @dg.sensor(
        name="pipelines_valid",
        default_status=dg.DefaultSensorStatus.RUNNING,
        minimum_interval_seconds=60,
        description="Reports mistakes in pipeline files as they come and go.",
        asset_selection=[platform_key()],
    )
    def sensor(context: dg.SensorEvaluationContext) -> dg.SensorResult | dg.SkipReason:
        digest = hashlib.sha256("\n".join(map(str, problems)).encode()).hexdigest()[:16]
        if context.cursor == digest:
            return dg.SkipReason("nothing has changed")
        return dg.SensorResult(asset_events=[evaluation], cursor=digest)

    about = "The pipelines as a whole."
    spec = dg.AssetSpec(platform_key(), group_name="platform", description=about)
    return dg.Definitions(assets=[spec], asset_checks=[check], sensors=[sensor])


def _evaluation(problems: Sequence[Problem]) -> dg.AssetCheckEvaluation:
    wrong = [problem for problem in problems if not problem.warning]
    table = [
        dg.TableRecord({"place": str(problem.location), "problem": problem.message})
        for problem in wrong[:MAX_SHOWN]
    ]
    return dg.AssetCheckEvaluation(
        asset_key=platform_key(),
        check_name=CHECK,
        passed=not wrong,
        severity=dg.AssetCheckSeverity.ERROR,
        metadata={
            "problems": dg.MetadataValue.int(len(wrong)),
            **({"where": dg.MetadataValue.table(table)} if table else {}),
        },
    )
