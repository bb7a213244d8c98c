"""Who hears how runs ended: `notify` of pipelines, and routes that ask for `success`.

Called by `watching` with the ends of a batch. What is told is what `endings` reads of a run, the
same as `on_finish` gets: `success` only where each asset of the run was built.
"""

from collections.abc import Iterable, Iterator

from dagster import DagsterEventType, DagsterInstance
from dagster._core.storage.tags import WILL_RETRY_TAG

from data_platform.asset_specs import asset_key
from data_platform.endings.facts import AssetFacts, RunFacts
from data_platform.endings.reading import facts_of
from data_platform.observability.alerts.messages import Message
from data_platform.observability.alerts.routing import about_asset, told
from data_platform.observability.alerts.titles import plain
from data_platform.observability.following.follower import Followed
from data_platform.plan.keys import Key
from data_platform.plan.pipelines import PipelinePlan, Plan
from data_platform.range_runs.outcomes import assets_of
from data_platform.reporting.failure_texts import in_a_line
from data_platform.spec.alerts import Alerts

_ENDS = frozenset(
    {
        DagsterEventType.RUN_SUCCESS,
        DagsterEventType.RUN_FAILURE,
        DagsterEventType.RUN_CANCELED,
    }
)
_FEW = 10


def messages_of_ends(
    instance: DagsterInstance,
    events: Iterable[Followed],
    plan: Plan,
    alerts: Alerts,
    link: str | None,
) -> Iterator[tuple[Message, list[str]]]:
    """A message for each pipeline of each run that has ended, with the channels.

    Args:
        instance: Dagster's.
        events: of a batch.
        plan: of the sound pipelines.
        alerts: of platform.yaml.
        link: where Dagster's UI is.
    """
    asking = [one for one in plan.pipelines if one.notify or _wants_success(alerts)]
    ended = [one.entry.run_id for one in events if one.event.event_type in _ENDS]
    for run_id in dict.fromkeys(ended if asking else ()):
        run = instance.get_run_by_id(run_id)
        if run is None or run.tags.get(WILL_RETRY_TAG) == "true":
            continue
        made = assets_of(instance, run)
        for pipeline in asking:
            if any(asset_key(node.key) in made for node in pipeline.nodes):
                facts = facts_of(instance, run_id, pipeline)
                channels = _channels(alerts, plan, pipeline, facts) if facts else []
                if facts and channels:
                    yield _message(facts, pipeline, link), channels


def _wants_success(alerts: Alerts) -> bool:
    return any("success" in (route.when.event or ()) for route in alerts.routes)


def _channels(alerts: Alerts, plan: Plan, pipeline: PipelinePlan, facts: RunFacts) -> list[str]:
    succeeded = facts.outcome == "success"
    notify = pipeline.notify
    wanted = notify is not None and ("success" if succeeded else "failure") in notify.on
    names = list(notify.to) if notify and wanted else []
    if succeeded and alerts.routes:
        keys = [Key.parse(asset.key) for asset in facts.assets]
        names += told(alerts, (about_asset(key, plan, ("success",), "info") for key in keys))
    return list(dict.fromkeys(names))


def _message(facts: RunFacts, pipeline: PipelinePlan, link: str | None) -> Message:
    good = facts.outcome == "success"
    href = f"{link.rstrip('/')}{facts.link}" if link else None
    run = f"[{facts.run_id[:8]}]({href})" if href else facts.run_id
    lines = [f"- {_asset(asset)}" for asset in facts.assets[:_FEW]]
    if len(facts.assets) > _FEW:
        lines.append(f"- and {len(facts.assets) - _FEW} more")
    cause = f" · **Started by** {plain(facts.cause)}" if facts.cause else ""
    about = f"**Owner** {pipeline.owner} · **Run** {run}{cause}"
    return Message(
        f"end-{facts.run_id}-{facts.pipeline}",
        f"end-{facts.pipeline}",
        "told",
        "info" if good else "warning" if facts.outcome == "canceled" else "error",
        f"[{facts.outcome}] {facts.text}",
        "\n\n".join(["\n".join(lines), about]),
        href,
        {
            "event": "success" if good else "failure",
            "name": facts.pipeline,
            "outcome": facts.outcome,
            "owner": pipeline.owner,
            "rows": facts.rows,
            "seconds": round(facts.seconds, 3),
            "run_id": facts.run_id,
            "failed": [asset.key for asset in facts.failed],
            "link": href,
        },
    ).masked()


def _asset(asset: AssetFacts) -> str:
    key, seconds = plain(asset.key), f"{asset.seconds:.1f} s"
    match asset.outcome:
        case "success":
            held = f", {asset.rows_quarantined:,} held back" if asset.rows_quarantined else ""
            return f"{key}: {asset.rows_out:,} rows{held}, {seconds}"
        case "failed":
            return f"{key}: **failed**, {plain(in_a_line(asset.message or '') or 'no reason')}"
        case _:
            return f"{key}: not built"
