"""The only reader of the environment.

Called by the edge alone: `definitions`, `cli`, `instance` and `resources`. Everything below gets
what it needs as arguments.
"""

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

PACKAGE_DIR = Path(__file__).parent


@dataclass(frozen=True)
class Settings:
    """What a machine or a deployment decides, as opposed to what a pipeline declares.

    Attributes:
        home: the folder from which relative paths of settings start (`DATA_PLATFORM_HOME`;
            default the working directory).
        data_dir: all local state: the embedded server, the lake, compute logs, scratch
            (`DATA_PLATFORM_DATA_DIR`; default `.data` in `home`).
        pipelines_dirs: where pipelines are; the first one holds `platform.yaml`
            (`DATA_PLATFORM_PIPELINES`, joined by `:`; default the ones that ship).
        storage_url: PostgreSQL for Dagster's own storage (`DATA_PLATFORM_STORAGE_URL`); None means
            the embedded server.
        memory_limit: what DuckDB may hold in memory for one step before it spills to scratch
            (`DATA_PLATFORM_MEMORY_LIMIT`; default `1GB`, so that several steps fit a laptop).
        threads: of DuckDB for one step (`DATA_PLATFORM_THREADS`; None means one a core).
    """

    home: Path
    data_dir: Path
    pipelines_dirs: tuple[Path, ...]
    storage_url: str | None = field(default=None, repr=False)
    memory_limit: str = "1GB"
    threads: int | None = None


def load_settings(environ: Mapping[str, str] | None = None) -> Settings:
    """Read the settings from `environ`, or from the process's environment.

    Raises:
        ValueError: one can't be read; it names the variable.
    """
    env = os.environ if environ is None else environ
    home = Path(env.get("DATA_PLATFORM_HOME") or Path.cwd()).absolute()
    pipelines = env.get("DATA_PLATFORM_PIPELINES")
    dirs = pipelines.split(":") if pipelines else [str(PACKAGE_DIR / "pipelines")]
    threads = env.get("DATA_PLATFORM_THREADS")
    return Settings(
        home=home,
        data_dir=home / (env.get("DATA_PLATFORM_DATA_DIR") or ".data"),
        pipelines_dirs=tuple(home / entry for entry in dirs if entry),
        storage_url=env.get("DATA_PLATFORM_STORAGE_URL") or None,
        memory_limit=env.get("DATA_PLATFORM_MEMORY_LIMIT") or "1GB",
        threads=_count("DATA_PLATFORM_THREADS", threads) if threads else None,
    )


def _count(name: str, text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise ValueError(f"{name} is {text!r}: it must be a number, 1 or more")
    return int(text)


def environment() -> Mapping[str, str]:
    """The environment that `${VAR}` in pipelines refers to."""
    return os.environ


def set_environment_defaults(values: Mapping[str, str]) -> None:
    """Set variables that are not set yet, for libraries that can only be told in this way."""
    for name, value in values.items():
        os.environ.setdefault(name, value)
