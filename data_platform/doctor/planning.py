"""What there is to look at on this machine, by platform.yaml and settings.

Called by the command. Who resolves secrets and starts the embedded server comes in as arguments, so
that nothing is asked before its own examination runs.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import assert_never

from data_platform.doctor import prerequisites
from data_platform.doctor.channels import AREA as ALERTS
from data_platform.doctor.channels import channel
from data_platform.doctor.dagster_storage import AREA as DAGSTER
from data_platform.doctor.dagster_storage import dagster_storage
from data_platform.doctor.databases import database
from data_platform.doctor.examining import Examination
from data_platform.doctor.findings import Finding
from data_platform.doctor.lake import AREA as LAKE
from data_platform.doctor.lake import PROBE, disks, folders_of, lake
from data_platform.doctor.services import api, bucket, kafka
from data_platform.engine.outside import Outside
from data_platform.errors import PermanentError
from data_platform.spec.platform import (
    ApiConnection,
    Connection,
    DatabaseConnection,
    KafkaConnection,
    S3Connection,
)
from data_platform.spec.reading import Workspace
from data_platform.storage.lake import Lake


@dataclass(frozen=True)
class Machine:
    """What is looked at, and how it is reached.

    Attributes:
        workspace: platform.yaml and the pipelines, as read.
        outside: connections with secrets in place.
        lake: as platform.yaml names it.
        storage_url: of Dagster's storage; starts the embedded server if it is meant.
        storage_scheme: of its URL.
        migrations: the newest that this version of Dagster knows.
        location: the code location's name.
        data_dir: of all local state.
        environ: of variables.
    """

    workspace: Workspace
    outside: Outside
    lake: Callable[[], Lake]
    storage_url: Callable[[], str]
    storage_scheme: str
    migrations: Callable[[], str]
    location: str
    data_dir: Path
    environ: Mapping[str, str]


def examinations(machine: Machine, connection: str | None = None) -> list[Examination]:
    """All that there is to look at.

    Args:
        machine: what there is.
        connection: only this one; None means everything.

    Raises:
        PermanentError: platform.yaml has no such connection.
    """
    named = machine.workspace.platform.connections
    if connection is not None and connection not in named:
        known = ", ".join(named) or "none"
        raise PermanentError(f"no connection {connection!r} in platform.yaml; there are: {known}")
    connections = [
        Examination(f"connection {name}", "reachable", _looking(machine, name))
        for name in ([connection] if connection else named)
    ]
    if connection is not None:
        return connections
    return [
        *_prerequisites(machine),
        Examination(LAKE, PROBE, lambda: lake(machine.lake().place)),
        Examination("machine", "disk", lambda: disks(folders_of(machine.lake(), machine.data_dir))),
        Examination(
            DAGSTER,
            "reachable",
            lambda: dagster_storage(
                machine.storage_url(), machine.migrations, machine.location, _names(machine)
            ),
            "correct DATA_PLATFORM_STORAGE_URL; docs/operations.md says what the server needs",
        ),
        *connections,
        *(
            Examination(ALERTS, f"channel {name}", _channel(machine, name))
            for name in machine.workspace.platform.alerts.channels
        ),
    ]


def _names(machine: Machine) -> list[str]:
    """The names of all pipelines, sound or not."""
    workspace = machine.workspace
    sound = [file.spec.pipeline for file in workspace.pipelines]
    return [*sound, *(entry.name for entry in workspace.broken)]


def _prerequisites(machine: Machine) -> Iterator[Examination]:
    workspace = machine.workspace
    yield Examination("pipelines", "files", lambda: _pipelines(workspace))
    used = prerequisites.references_of(workspace.platform, workspace.pipelines)
    yield Examination(
        prerequisites.VARIABLES,
        "variables",
        lambda: prerequisites.variables(used, machine.environ),
    )
    for reference, place in used.items():
        if reference.is_outside:
            yield Examination(
                prerequisites.SECRETS,
                f"{reference}",
                lambda reference=reference, place=place: prerequisites.secret(
                    reference, place, machine.outside.expand
                ),
            )
    yield Examination(
        prerequisites.PACKAGES,
        "packages",
        lambda: prerequisites.packages(workspace.platform, used, [machine.storage_scheme]),
    )


def _pipelines(workspace: Workspace) -> Iterator[Finding]:
    wrong = [problem for problem in workspace.platform_problems if not problem.warning]
    if wrong:
        advice = "`data-platform check` shows all mistakes; connections are unknown until then"
        yield Finding("pipelines", "platform.yaml", "fail", wrong[0].message, advice)
    broken = [entry.name for entry in workspace.broken]
    sound = len(workspace.pipelines)
    if broken:
        advice = "`data-platform check` shows the mistakes; the other pipelines run"
        found = f"{', '.join(broken)} {'have' if len(broken) > 1 else 'has'} mistakes"
        yield Finding("pipelines", "files", "warn", found, advice)
    elif not wrong:
        yield Finding("pipelines", "files", "ok", f"{sound} read")


def _channel(machine: Machine, name: str) -> Callable[[], Iterable[Finding]]:
    written = machine.workspace.platform.alerts.channels[name]
    return lambda: channel(name, written, machine.outside.expand)


def _looking(machine: Machine, name: str) -> Callable[[], Iterable[Finding]]:
    def look() -> Iterable[Finding]:
        return _findings(f"connection {name}", machine.outside.connection(name), machine.environ)

    return look


def _findings(area: str, connection: Connection, environ: Mapping[str, str]) -> Iterable[Finding]:
    match connection:
        case DatabaseConnection():
            return database(area, connection.url)
        case ApiConnection():
            return api(area, connection)
        case S3Connection():
            return bucket(area, connection, environ.get("AWS_ENDPOINT_URL"))
        case KafkaConnection():
            return kafka(area, connection)
        case _:
            assert_never(connection)
