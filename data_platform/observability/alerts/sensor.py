"""The sensor `alerts`, on from the first start where platform.yaml has channels.

Called by `definitions`.
"""

from collections.abc import Callable, Mapping, Sequence

import dagster as dg
from sqlalchemy.exc import DBAPIError

from data_platform.errors import Problem
from data_platform.instance.own_tables import trouble_words
from data_platform.plan.pipelines import Plan
from data_platform.spec.alerts import Alerts

SECONDS = 15
_SHOWN = 3


def alerts_sensor(
    plan: Plan,
    alerts: Alerts,
    broken: Mapping[str, Sequence[Problem]],
    expand: Callable[[str], str],
) -> dg.SensorDefinition | None:
    """The sensor; None where nobody is to be told.

    Args:
        plan: of the sound pipelines.
        alerts: of platform.yaml.
        broken: the mistakes of each pipeline that has some.
        expand: a text with the values of its variables.
    """
    if not alerts.channels:
        return None
    words = {name: problem_words(problems) for name, problems in broken.items()}

    @dg.sensor(
        name="alerts",
        default_status=dg.DefaultSensorStatus.RUNNING,
        minimum_interval_seconds=SECONDS,
        description="Tells whom it concerns what goes wrong, once for each cause.",
        asset_selection=dg.AssetSelection.all(),
    )
    def sensor(context: dg.SensorEvaluationContext) -> dg.SkipReason:
        # Apprise and all that goes with it is for the code server alone, not for each run.
        from data_platform.observability.alerts.watching import Watched, watch  # noqa: PLC0415

        watched = Watched(plan, alerts, expand, words)
        try:
            return dg.SkipReason(str(watch(context.instance, watched)))
        except DBAPIError as error:
            return dg.SkipReason(trouble_words(error))

    return sensor


def problem_words(problems: Sequence[Problem]) -> str:
    """The mistakes of a pipeline, the first of them by their words."""
    wrong = [str(one) for one in problems if not one.warning]
    more = [f"and {len(wrong) - _SHOWN} more"] if len(wrong) > _SHOWN else []
    return "\n".join([*wrong[:_SHOWN], *more])
