"""The title of an incident, where to look, and how data stand in a message.

Used by `words` and `ends`. Pure.
"""

import re
from collections.abc import Sequence
from datetime import timedelta

from data_platform.engine.texts import printable
from data_platform.observability.causes import ago_words
from data_platform.observability.incidents.folding import FAILURE, HELD
from data_platform.observability.incidents.model import Incident
from data_platform.plan.naming import LAST_GOOD
from data_platform.reporting.failure_texts import in_a_line

_HARMLESS = re.compile(r"(?:[^\W_]|[ .,:;/%()+='\"•…≥≤-]|(?<=[^\W_])_(?=[^\W_]))*")
"""What no channel reads as markup: `_` only within a word."""


def title_of(incident: Incident) -> str:
    """What is wrong, in a line without how bad it is; that of before, where nothing is any more."""
    name, signs = incident.name, incident.signs
    checks = [sign.text for sign in signs.values() if sign.event == "check_failed"]
    match incident.matter:
        case _ if not signs:
            return incident.title or name
        case "pipeline":
            return f"pipeline {name} has mistakes"
        case "daemon":
            return "Dagster's daemon is down"
        case "over_budget" | "slow_runs":
            is_asset = incident.key is not None
            return f"{name if is_asset else f'pipeline {name}'} is over its budget"
        case "quarantined":
            rows = sum(part.rows for part in signs[HELD].parts.values()) if HELD in signs else 0
            return f"{name} holds back {f'{rows:,} ' * bool(rows)}{'row' if rows == 1 else 'rows'}"
        case "warned":
            return f"{name}: {_named(checks)} {'warns' if len(checks) == 1 else 'warn'}"
        case _ if LAST_GOOD in checks:
            return f"{name}: its source can't be read, its last good data stand"
        case _ if checks:
            return f"{name}: {_named(checks)} failed"
        case _ if FAILURE in signs:
            said = in_a_line(signs[FAILURE].text) or ""
            return f"{name} failed: {printable(said.removeprefix(f'{name}: '))}"
        case _:
            return f"{name} is stale"


def _named(checks: Sequence[str]) -> str:
    return f"check {checks[0]}" if len(checks) == 1 else f"{len(checks)} checks"


def link_to(incident: Incident, link: str | None) -> str | None:
    """Where to look in Dagster's UI: the run, else the asset."""
    if link is None:
        return None
    base = link.rstrip("/")
    run_ids = [sign.run_id for sign in incident.signs.values() if sign.run_id]
    match incident.matter:
        case _ if run_ids:
            return f"{base}/runs/{run_ids[-1]}"
        case "pipeline":
            return f"{base}/assets/platform?view=checks"
        case "daemon":
            return f"{base}/deployment/daemons"
        case _:
            return f"{base}/assets/{incident.name}"


def span_words(span: timedelta) -> str:
    """A time in its greatest unit: `3 h`."""
    words = ago_words(span).removesuffix(" ago")
    return "less than a minute" if words == "just now" else words


def plain(text: str) -> str:
    """A text in which nothing is markup, and which calls nobody: as it is, or as code.

    Code is ugly where mails are shown as text, so what can't mean anything is left as it is.
    """
    shown = printable(text).strip()
    if _HARMLESS.fullmatch(shown):
        return shown
    return "`" + shown.replace("`", "'") + "`"
