"""How this process logs: text or JSON, from which level on, without secrets.

Called where a process begins: by `cli`, `definitions` and the instance's storage, which is in the
daemon, the webserver and each run. Called again it changes nothing but what is asked for.
"""

import logging
import sys
import traceback
from types import TracebackType
from typing import Literal

from data_platform.logs.json_lines import JsonLines
from data_platform.logs.records import PlatformRecord
from data_platform.secrets.masker import mask

_APART = ("data_platform.instance", "sqlalchemy", "psycopg")
"""Loggers of what writes a run's events: lines about a lost database must not wait for it."""
_CAPTURES = "DagsterLogHandler"
"""Of a run, which leads lines to handlers of its own."""


class _Manner:
    """How lines are written."""

    json: bool = False
    level: int | None = None


class _PlatformLogger(logging.Logger):
    """A logger whose streams are written as the process is told, whoever adds them."""

    def addHandler(self, hdlr: logging.Handler) -> None:  # noqa: N802 -- Python's name
        """Add a handler."""
        _dress(hdlr)
        super().addHandler(hdlr)


class _LastHandler(logging.StreamHandler):  # pyright: ignore[reportMissingTypeArgument]
    """Writes what nobody else does: lines of loggers without handlers, outside of runs."""

    def filter(self, record: logging.LogRecord) -> bool:
        """Leave lines alone that a run's handlers write, or that a logger's own have written."""
        if any(type(handler).__name__ == _CAPTURES for handler in logging.getLogger().handlers):
            return False
        if hasattr(record, "dagster_meta") or _has_own_handler(record.name):
            return False
        return super().filter(record)


def set_up(log_format: Literal["json", "text"], level: str | None = None) -> None:
    """Mask all lines of this process, and write them as is wanted.

    Args:
        log_format: text leaves lines as Dagster and libraries write them.
        level: of what is written at least; None leaves it.
    """
    logging.setLogRecordFactory(PlatformRecord)
    sys.excepthook = _excepthook
    for name in _APART:
        logging.getLogger(name).propagate = False
    _Manner.json = log_format == "json"
    _Manner.level = logging.getLevelNamesMapping()[level] if level else None
    if not _Manner.json and _Manner.level is None:
        return
    logging.setLoggerClass(_PlatformLogger)
    root = logging.getLogger()
    if _Manner.json:
        logging.captureWarnings(capture=True)
        if not any(isinstance(handler, _LastHandler) for handler in root.handlers):
            root.addHandler(_LastHandler())
            for name in _APART:
                logging.getLogger(name).addHandler(logging.StreamHandler())
    for logger in (root, *root.manager.loggerDict.values()):
        if not isinstance(logger, logging.Logger):
            continue
        if _Manner.level is not None and (logger is root or logger.handlers):
            logger.setLevel(_Manner.level)
        for handler in logger.handlers:
            _dress(handler)


def _dress(handler: logging.Handler) -> None:
    """Let a handler that writes to a terminal or pipe write in the manner of the process."""
    if not isinstance(handler, logging.StreamHandler) or isinstance(handler, logging.FileHandler):
        return
    if _Manner.json:
        handler.setFormatter(JsonLines())
    if _Manner.level is not None:
        handler.setLevel(_Manner.level)


def _has_own_handler(name: str) -> bool:
    logger: logging.Logger | None = logging.getLogger(name)
    while logger is not None and logger.parent is not None:
        if any(isinstance(handler, logging.StreamHandler) for handler in logger.handlers):
            return True
        logger = logger.parent if logger.propagate else None
    return False


def _excepthook(
    kind: type[BaseException], error: BaseException, trace: TracebackType | None
) -> None:
    """What ends the process, as the last line of its log."""
    if _Manner.json and not issubclass(kind, KeyboardInterrupt):
        logging.getLogger("data_platform").critical(
            "the process ends: %s", kind.__name__, exc_info=(kind, error, trace)
        )
        return
    sys.stderr.write(mask("".join(traceback.format_exception(kind, error, trace))))
