"""The only reader of the environment.

Called by the edge alone: `definitions`, `cli`, `instance` and `resources`. Everything below gets
what it needs as arguments.
"""

import os
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

PACKAGE_DIR = Path(__file__).parent
SHIPPED_PIPELINES = PACKAGE_DIR / "pipelines"
OWN_PIPELINES = Path("pipelines")
"""In a project of one's own, as `data-platform init` makes it: told by its platform.yaml."""

LogFormat = Literal["json", "text"]
DEFAULT_LOCATION = "data_platform"
"""Whose state is kept as it was before there could be several."""
LOG_LEVELS = ("DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL")

_LOCATION = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,99}")
_MEMORY = re.compile(r"(?=.*[1-9])\d+(\.\d+)? ?(%|[mgt](i?b)?)", re.IGNORECASE)


@dataclass(frozen=True)
class Settings:
    """What a machine or a deployment decides, as opposed to what a pipeline declares.

    Attributes:
        home: the folder from which relative paths of settings start (`DATA_PLATFORM_HOME`;
            default the working directory).
        data_dir: all local state: the embedded server, the lake, compute logs, scratch
            (`DATA_PLATFORM_DATA_DIR`; default `.data` in `home`).
        pipelines_dirs: where pipelines are; the first one holds `platform.yaml`
            (`DATA_PLATFORM_PIPELINES`, joined by `:`; default `pipelines` in `home` where that
            holds a `platform.yaml`, else the ones that ship).
        storage_url: PostgreSQL for Dagster's own storage (`DATA_PLATFORM_STORAGE_URL`); None means
            the embedded server.
        memory_limit: what DuckDB may hold in memory for one step before it spills to scratch
            (`DATA_PLATFORM_MEMORY_LIMIT`; default `1GB`, so that several steps fit a laptop).
        threads: of DuckDB for one step (`DATA_PLATFORM_THREADS`; None means one a core).
        compute_logs: where what steps print is sent (`DATA_PLATFORM_COMPUTE_LOGS`, an
            `s3://bucket/prefix`); None means that it stays in `data_dir`.
        location: the code location's name among those of the same Dagster
            (`DATA_PLATFORM_LOCATION`; default `data_platform`), by which its state is kept.
        log_format: of lines of logs (`DATA_PLATFORM_LOG_FORMAT`; default `text`).
        log_level: of what is logged at least (`DATA_PLATFORM_LOG_LEVEL`); None means Dagster's.
    """

    home: Path
    data_dir: Path
    pipelines_dirs: tuple[Path, ...]
    storage_url: str | None = field(default=None, repr=False)
    memory_limit: str = "1GB"
    threads: int | None = None
    compute_logs: str | None = None
    location: str = DEFAULT_LOCATION
    log_format: LogFormat = "text"
    log_level: str | None = None


def load_settings(environ: Mapping[str, str] | None = None) -> Settings:
    """Read the settings from `environ`, or from the process's environment.

    Raises:
        ValueError: one can't be read; it names the variable.
    """
    env = os.environ if environ is None else environ
    home = Path(env.get("DATA_PLATFORM_HOME") or Path.cwd()).absolute()
    threads = env.get("DATA_PLATFORM_THREADS")
    log_format, log_level = log_settings(env)
    return Settings(
        home=home,
        data_dir=home / (env.get("DATA_PLATFORM_DATA_DIR") or ".data"),
        pipelines_dirs=_pipelines_dirs(env.get("DATA_PLATFORM_PIPELINES"), home),
        storage_url=_database("DATA_PLATFORM_STORAGE_URL", env.get("DATA_PLATFORM_STORAGE_URL")),
        memory_limit=_memory(
            "DATA_PLATFORM_MEMORY_LIMIT", env.get("DATA_PLATFORM_MEMORY_LIMIT") or "1GB"
        ),
        threads=_count("DATA_PLATFORM_THREADS", threads) if threads else None,
        compute_logs=_bucket(
            "DATA_PLATFORM_COMPUTE_LOGS", env.get("DATA_PLATFORM_COMPUTE_LOGS") or None
        ),
        location=location_name(env),
        log_format=log_format,
        log_level=log_level,
    )


def location_name(environ: Mapping[str, str] | None = None) -> str:
    """The name of this process's code location.

    Raises:
        ValueError: it can't be one.
    """
    env = os.environ if environ is None else environ
    name = env.get("DATA_PLATFORM_LOCATION") or DEFAULT_LOCATION
    if not _LOCATION.fullmatch(name):
        raise ValueError(
            f"DATA_PLATFORM_LOCATION is {name!r}: it must be of letters, digits, `_`, `-` and `.`,"
            " 100 at most, the first a letter, digit or `_`"
        )
    return name


def log_settings(environ: Mapping[str, str]) -> tuple[LogFormat, str | None]:
    """How lines of logs are written, and from which level on.

    Raises:
        ValueError: one can't be read; it names the variable.
    """
    style = environ.get("DATA_PLATFORM_LOG_FORMAT") or "text"
    level = environ.get("DATA_PLATFORM_LOG_LEVEL") or None
    if level is not None and level.upper() not in LOG_LEVELS:
        known = ", ".join(LOG_LEVELS)
        raise ValueError(f"DATA_PLATFORM_LOG_LEVEL is {level!r}: it must be one of {known}")
    match style.lower():
        case "json" | "text" as found:
            return found, level.upper() if level else None
        case _:
            raise ValueError(f"DATA_PLATFORM_LOG_FORMAT is {style!r}: it must be json or text")


def _pipelines_dirs(named: str | None, home: Path) -> tuple[Path, ...]:
    if named:
        return tuple(home / entry for entry in named.split(":") if entry)
    own = home / OWN_PIPELINES
    return (own if (own / "platform.yaml").is_file() else SHIPPED_PIPELINES,)


def _count(name: str, text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise ValueError(f"{name} is {text!r}: it must be a number, 1 or more")
    return int(text)


def _memory(name: str, text: str) -> str:
    if not _MEMORY.fullmatch(text):
        raise ValueError(f"{name} is {text!r}: it must be an amount such as 512MB, 2GB or 1.5GiB")
    return text


def _bucket(name: str, url: str | None) -> str | None:
    if url and not re.fullmatch(r"s3://[^/]+(/.*)?", url):
        raise ValueError(f"{name} is {url!r}: it must be s3://bucket or s3://bucket/prefix")
    return url


def _database(name: str, url: str | None) -> str | None:
    if url and not url.startswith(("postgresql://", "embedded://")):
        # Not what it is: it may hold a password.
        raise ValueError(f"{name} must be postgresql://user@host/database, or embedded://database")
    return url or None


def environment() -> Mapping[str, str]:
    """The environment that `${VAR}` in pipelines refers to."""
    return os.environ


def set_environment_defaults(values: Mapping[str, str]) -> None:
    """Set variables that are not set yet, for libraries that can only be told in this way."""
    for name, value in values.items():
        os.environ.setdefault(name, value)


def read_env_file(folder: Path) -> None:
    """Take the variables of `.env` in a folder, as `dagster dev` does there: they win.

    Without it the command would work on another lake or database than the UI beside it.

    Raises:
        ValueError: the file can't be read.
    """
    file = folder / ".env"
    if not file.is_file():
        return
    from dotenv import dotenv_values  # noqa: PLC0415 -- most folders have no such file

    try:
        values = dotenv_values(file)
    except (OSError, UnicodeDecodeError) as error:
        raise ValueError(f"{file} can't be read: {error}") from error
    os.environ.update({name: value for name, value in values.items() if value is not None})


@contextmanager
def environment_with(values: Mapping[str, str]) -> Iterator[None]:
    """The environment with other variables, for as long as the block runs: for tests."""
    before = dict(os.environ)
    os.environ.update(values)
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(before)
