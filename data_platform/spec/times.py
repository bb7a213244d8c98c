"""Dates, durations, time zones and cron expressions, from the text that a person wrote.

Used by the models of this package only; knows neither YAML nor Dagster.
"""

import functools
import re
import zoneinfo
from datetime import UTC, date, datetime, timedelta
from itertools import islice, pairwise
from typing import Annotated, Any

from cronsim import CronSim, CronSimError
from pydantic import AfterValidator, BeforeValidator, WithJsonSchema

from data_platform.spec.wording import hint, problem

_DURATION_PATTERN = r"^[0-9]{1,6}\s*[smhd]$"
_DATE_PATTERN = r"^[0-9]{4}-[0-9]{2}-[0-9]{2}$"
_UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days"}
_CRON_ALIASES = {
    "@hourly": "0 * * * *",
    "@daily": "0 0 * * *",
    "@weekly": "0 0 * * 0",
    "@monthly": "0 0 1 * *",
}
_CRON_FIELDS = 5
_TICKS = 1_000


def _duration(value: Any) -> Any:
    if isinstance(value, timedelta):
        return value
    text = value.strip() if isinstance(value, str) else ""
    if not re.fullmatch(_DURATION_PATTERN, text):
        template = "{found} is no duration: a number and s, m, h or d, such as 30s 5m 2h 1d"
        raise problem("duration", template, value)
    return timedelta(**{_UNITS[text[-1]]: int(text[:-1])})


def _date(value: Any) -> Any:
    if isinstance(value, date) and not isinstance(value, datetime):
        return value
    try:
        if isinstance(value, str) and re.fullmatch(_DATE_PATTERN, value):
            return date.fromisoformat(value)
    except ValueError:
        pass
    raise problem("date", "{found} is no date: year-month-day, such as 2017-01-31", value)


@functools.cache
def _time_zones() -> frozenset[str]:
    return frozenset(zoneinfo.available_timezones())


def _timezone(value: str) -> str:
    try:
        zoneinfo.ZoneInfo(value)
    except (KeyError, ValueError, OSError):
        guess = hint(value, _time_zones())
        template = f"{{found}} is no time zone: an IANA name such as UTC or Europe/Berlin{guess}"
        raise problem("timezone", template, value) from None
    return value


def _wrong_in_cron(expression: str) -> str | None:
    """What is wrong with five fields, in a word or two."""
    if len(expression.split()) != _CRON_FIELDS:
        return "wrong number of fields"
    try:
        next(CronSim(expression, datetime(2000, 1, 1, tzinfo=UTC)))
    except CronSimError as error:
        return str(error).lower()
    except (ValueError, StopIteration):
        return "it never comes"
    return None


def _cron(value: str) -> str:
    expression = _CRON_ALIASES.get(value, value)
    if reason := _wrong_in_cron(expression):
        template = (
            f"{{found}} is no cron expression ({reason}): "
            f'five fields such as "0 6 * * *", or one of {", ".join(_CRON_ALIASES)}'
        )
        raise problem("cron", template, value)
    return expression


def duration_words(span: timedelta) -> str:
    """A duration as the language writes it, such as `6h`."""
    seconds = int(span.total_seconds())
    for unit, length in (("d", 86_400), ("h", 3_600), ("m", 60)):
        if seconds and seconds % length == 0:
            return f"{seconds // length}{unit}"
    return f"{seconds}s"


def shortest_gap(expression: str) -> timedelta:
    """The least time between two ticks of a cron expression, of the first thousand."""
    ticks = list(islice(CronSim(expression, datetime(2000, 1, 1, tzinfo=UTC)), _TICKS))
    return min((later - one for one, later in pairwise(ticks)), default=timedelta.max)


TimeZone = Annotated[str, AfterValidator(_timezone)]
Cron = Annotated[
    str,
    AfterValidator(_cron),
    WithJsonSchema({"type": "string", "examples": ["0 6 * * *", *_CRON_ALIASES]}),
]
Duration = Annotated[
    timedelta,
    BeforeValidator(_duration),
    WithJsonSchema(
        {"type": "string", "pattern": _DURATION_PATTERN, "examples": ["30s", "5m", "2h", "1d"]}
    ),
]
Date = Annotated[
    date,
    BeforeValidator(_date),
    WithJsonSchema({"type": "string", "format": "date", "pattern": _DATE_PATTERN}),
]
