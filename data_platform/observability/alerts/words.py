"""What is said of an incident: what is wrong, since when, whose it is, what to do.

Called by `watching`. Pure. Data can't become markup here: what others said, and values, stand as
code, which no channel reads.
"""

from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Any

from data_platform.observability.alerts.messages import Message
from data_platform.observability.alerts.titles import link_to, plain, span_words, title_of
from data_platform.observability.causes import ago_words
from data_platform.observability.incidents.folding import FAILURE
from data_platform.observability.incidents.model import Incident, Sign
from data_platform.observability.incidents.telling import OFTEN, QUIET, Turn
from data_platform.plan.keys import Key
from data_platform.plan.naming import BUDGET, WHOLE
from data_platform.plan.nodes import AnyNode
from data_platform.plan.pipelines import PipelinePlan, Plan
from data_platform.spec.alerts import Severity
from data_platform.spec.times import duration_words

FEW = 10
"""Assets behind an incident, or partitions, that are named."""
_CHECKS, _SAID, _VALUE = 5, 1_500, 60
_LINES = 15
_Of = AnyNode | PipelinePlan | None
"""What an incident is of, where the plan has it."""
_PREFIXES: Mapping[Turn, str] = {
    "opened": "[{}] {}",
    "worse": "[{}] now worse: {}",
    "repeated": "[{}] still: {}",
}


def message_of(
    incident: Incident, turn: Turn, severity: Severity, plan: Plan, link: str | None, now: datetime
) -> Message:
    """The message of an incident.

    Args:
        incident: as it is now.
        turn: which it took.
        severity: of it.
        plan: of the sound pipelines.
        link: where Dagster's UI is.
        now: aware.
    """
    node = plan.get(incident.key) if incident.key else None
    of = node or plan.pipeline(incident.name)
    title, href = title_of(incident), link_to(incident, link)
    if turn == "recovered":
        lasted = span_words((incident.mended or now) - incident.opened)
        lines = list(_ended(incident, of, lasted))
        heading, severity = f"[recovered] {incident.title or title} (after {lasted})", "info"
    else:
        lines = list(_wrong(incident, of, href, now))
        behind = len(incident.held_up)
        more = f" ({behind:,} {'asset' if behind == 1 else 'assets'} behind)" if behind else ""
        heading = _PREFIXES[turn].format(severity, f"{title}{more}")
    return Message(
        f"{incident.id}-{incident.messages + 1}",
        incident.id,
        turn,
        severity,
        heading,
        "\n\n".join(lines),
        href,
        _values(incident, turn, of, href),
    ).masked()


# Parts of a body --------------------------------------------------------------------------------


def _wrong(incident: Incident, of: _Of, href: str | None, now: datetime) -> Iterator[str]:
    node = None if isinstance(of, PipelinePlan) else of
    for sign in incident.signs.values():
        yield from _sign(sign, node)
    if incident.times > 1:
        quiet = span_words(QUIET)
        often = f" Its end is told when it has been well for {quiet}." * (incident.times >= OFTEN)
        yield f"It came {incident.times} times lately.{often}"
    since = f"{incident.opened:%Y-%m-%d %H:%M %Z} ({ago_words(now - incident.opened)})"
    yield " · ".join([f"**Since** {since}", *_whose(of)])
    yield from _behind(incident)
    runs = [sign for sign in incident.signs.values() if sign.run_id]
    if runs:
        yield _run(incident.signs.get(FAILURE, runs[-1]), href)
    elif href:
        yield f"**Look** {href}"
    if node is not None and node.runbook:
        yield f"**Runbook** {node.runbook}"
    if todo := _to_do(incident):
        yield f"**Do** {todo}"


def _ended(incident: Incident, of: _Of, lasted: str) -> Iterator[str]:
    began = f"{incident.opened:%Y-%m-%d %H:%M %Z}"
    parts = [f"**Well again** after {lasted}, since {began}", *_whose(of)]
    yield " · ".join(parts)
    keys = list(map(Key.parse, incident.behind))
    if keys:
        yield f"**Stood behind it** {_listed(keys)}"


def _whose(of: _Of) -> list[str]:
    match of:
        case None:
            return []
        case PipelinePlan():
            return [f"**Owner** {of.owner}"]
        case _:
            return [f"**Owner** {of.owner}", f"**Criticality** {of.criticality}"]


def _sign(sign: Sign, node: AnyNode | None) -> Iterator[str]:
    match sign.event:
        case "failure" | "broken_pipeline" | "daemon_down":
            yield _said(sign.text)
            if sign.system:
                yield f"**Down** {plain(sign.system)}"
        case "over_budget" if sign.text != BUDGET:
            yield _said(sign.text)
        case "check_failed" | "over_budget":
            yield from _check(sign)
        case "stale":
            yield _stale(node)
        case "quarantined":
            if sign.parts:
                yield _held(sign)
            else:
                yield from _check(sign)
        case _:
            yield plain(sign.text)


def _held(sign: Sign) -> str:
    some = sorted(sign.parts.items(), key=lambda entry: -entry[1].number)[:FEW]
    rows = ", ".join(f"{part.rows:,}{f' of {plain(key)}' if key else ''}" for key, part in some)
    more = len(sign.parts) - len(some)
    return f"**Rows held back** {rows}{f' and of {more} more' if more else ''}"


def _check(sign: Sign) -> Iterator[str]:
    facts = dict(sign.facts)
    rows, offending = facts.pop("rows", None), facts.pop("offending", None)
    share, allowed = facts.pop("percentage", None), facts.pop("threshold", None)
    told = [f"{offending} of {rows} rows break it"] if rows and offending else []
    told[-1:] = [f"{one} ({share} %)" if share else one for one in told[-1:]]
    told += [f"allowed: {plain(allowed)}"] if allowed else []
    told += [f"{name.replace('_', ' ')}: {plain(value)}" for name, value in facts.items()]
    yield f"**Check** {plain(sign.text)}: {'; '.join(told) or 'it did not pass'}"
    if sign.examples:
        yield "\n".join(f"- {_row(row)}" for row in sign.examples)


def _row(row: Mapping[str, str]) -> str:
    return plain(", ".join(f"{name.strip('_')}: {value[:_VALUE]}" for name, value in row.items()))


def _stale(node: AnyNode | None) -> str:
    limits = node.freshness if node else None
    if limits is None:
        return "Its data are older than they may be."
    if limits.deadline is not None:
        return f"Its data weren't there at its deadline (`{limits.deadline}`, {limits.timezone})."
    most = duration_words(limits.fail_after) if limits.fail_after else "they may be"
    return f"Its data are late: they may be {most} old at most."


def _behind(incident: Incident) -> Iterator[str]:
    held_up = incident.held_up
    if held_up:
        ways = {key: one.how for key, one in held_up.items()}
        yield f"**Behind it** {_listed(list(held_up), ways)}"


def _listed(keys: list[Key], ways: Mapping[Key, str] | None = None) -> str:
    named = [f"{plain(str(key))}{f' ({ways[key]})' if ways else ''}" for key in keys[:FEW]]
    more = f" and {len(keys) - FEW:,} more" if len(keys) > FEW else ""
    return f"{', '.join(named)}{more}"


def _run(sign: Sign, href: str | None) -> str:
    run_id = sign.run_id or ""
    run = f"[{run_id[:8]}]({href})" if href else run_id
    facts = [f"{name} {value}" for name, value in sign.facts.items() if sign.event == "failure"]
    keys = sorted(key for key in sign.parts if key != WHOLE) if sign.event == "failure" else []
    if keys:
        some = ", ".join(map(plain, keys[:FEW]))
        more = f" and {len(keys) - FEW:,} more" if len(keys) > FEW else ""
        facts.append(f"partitions {some}{more}")
    return " · ".join([f"**Run** {run}", *facts])


def _said(text: str) -> str:
    """What others said, as it is."""
    lines = [line for line in text.strip()[:_SAID].splitlines() if line.strip()][:_LINES]
    parts = [f"- {plain(line)}" if line[0] == " " else f"\n{plain(line)}\n" for line in lines]
    return "\n".join(parts).replace("\n\n\n", "\n\n").strip()


def _to_do(incident: Incident) -> str | None:
    key = incident.key
    match incident.matter:
        case "pipeline":
            return "`data-platform check`"
        case "slow_runs":
            return "see in the run which of its steps take long"
        case "daemon":
            return "start it (`dagster-daemon run`); nothing is started until then"
        case "quarantined" if key:
            return f"`data-platform quarantine show {key.pipeline}.{key.name}`"
        case "trouble" | "warned" if key:
            return f"`data-platform why {key}`"
        case _:
            return None


def _values(incident: Incident, turn: Turn, of: _Of, href: str | None) -> dict[str, Any]:
    """The same for programs."""
    node = None if isinstance(of, PipelinePlan) else of
    return {
        "event": "recovered" if turn == "recovered" else next(iter(incident.events), None),
        "events": list(incident.events),
        "name": incident.name,
        "owner": of.owner if of else None,
        "criticality": node.criticality if node else None,
        "runbook": node.runbook if node else None,
        "since": incident.opened.isoformat(),
        "run_id": next((sign.run_id for sign in incident.signs.values() if sign.run_id), None),
        "link": href,
        "behind": [str(key) for key in incident.held_up][:FEW],
        "behind_count": len(incident.held_up),
        "figures": {name: dict(sign.facts) for name, sign in incident.signs.items() if sign.facts},
    }
