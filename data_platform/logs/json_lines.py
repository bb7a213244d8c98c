"""A line of a log as JSON, for what collects logs.

Installed by `setting_up`. A line is always one line, always JSON and never lost: what can't be
written as it is, is written as it can.
"""

import json
import logging
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from data_platform.logs.surroundings import of_step, partition_of
from data_platform.secrets.masker import mask

LONGEST = 32 * 1024
"""Bytes of a line: collectors cut or refuse longer ones."""
_META = "dagster_meta"
"""Under which Dagster hangs what it knows to a line."""
_ORDER = (
    *("run", "job", "code_location", "pipeline", "layer", "asset", "step", "partition", "try"),
    "process",
)


class JsonLines(logging.Formatter):
    """Lines as JSON."""

    def format(self, record: logging.LogRecord) -> str:
        """A line; where making it fails, one that says so."""
        try:
            message = _message(record)
        except Exception as error:  # noqa: BLE001 -- whatever a person's object raises
            why = f"{type(error).__name__} while this line was made of {_shown(record)}"
            message = mask(why)
        return bounded(
            {**_first(record), "message": message, **_about(record), **self._failure(record)}
        )

    def _failure(self, record: logging.LogRecord) -> dict[str, str]:
        """The error that a line tells of, with its traceback and causes."""
        event = _meta(record).get("dagster_event")
        error = getattr(getattr(event, "event_specific_data", None), "error", None)
        if record.exc_info and not record.exc_text:
            record.exc_text = self.formatException(record.exc_info)
        text = record.exc_text or (mask(error.to_string()) if error is not None else None)
        return {
            **({"exception": text} if text else {}),
            **({"stack": record.stack_info} if record.stack_info else {}),
        }


def bounded(fields: Mapping[str, str | int]) -> str:
    """JSON of at most `LONGEST` bytes; `cut` says how many characters of texts are left out."""
    fields = {name: _valid(value) for name, value in fields.items()}
    line = json.dumps(fields)
    most = LONGEST // 2
    while len(line) > LONGEST and most > 0:
        kept = {
            name: value[:most] if isinstance(value, str) else value
            for name, value in fields.items()
        }
        gone = sum(len(str(fields[name])) - len(str(value)) for name, value in kept.items())
        line = json.dumps({**kept, "cut": gone})
        most //= 2
    return line


def _valid(value: str | int) -> str | int:
    """Without halves of characters, which some readers of JSON refuse."""
    return value.encode(errors="replace").decode() if isinstance(value, str) else value


def _first(record: logging.LogRecord) -> dict[str, str | int]:
    time = datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds")
    return {
        "time": time.replace("+00:00", "Z"),
        "level": record.levelname,
        "logger": record.name,
    }


def _message(record: logging.LogRecord) -> str:
    """What it says; without what Dagster puts before it, which is in fields."""
    said = _meta(record).get("orig_message")
    return mask(said) if isinstance(said, str) else record.getMessage()


def _about(record: logging.LogRecord) -> dict[str, str | int]:
    meta, known = _meta(record), dict[str, Any](getattr(record, "surroundings", {}))
    step = meta.get("step_key") or known.get("step")
    tags: Mapping[str, str] = meta.get("job_tags") or {}
    found = {
        **known,
        **(of_step(step) if step else {}),
        "run": meta.get("run_id") or known.get("run"),
        "job": meta.get("job_name") or known.get("job"),
        "step": step,
        "partition": known.get("partition") or partition_of(tags),
        "process": record.process,
    }
    return {name: found[name] for name in _ORDER if found.get(name) is not None}


def _meta(record: logging.LogRecord) -> Mapping[str, Any]:
    found = getattr(record, _META, None)
    return found if isinstance(found, dict) else {}


def _shown(record: logging.LogRecord) -> str:
    try:
        return f"{record.msg!r} and {record.args!r}"
    except Exception:  # noqa: BLE001
        return f"an object of {type(record.msg).__name__}"
