"""What people wrote, read and planned, and the way from its names to real things.

Called by `definitions` and the command, each once a process. Finds all mistakes and never raises
over one; connections, the lake and secrets are looked up only when somebody asks for them. Must not
know Dagster.
"""

import difflib
import functools
import gc
from collections.abc import Callable, Generator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

from data_platform.errors import (
    ConfigurationError,
    Location,
    PermanentError,
    PlatformError,
    Problem,
    SourceUnavailable,
)
from data_platform.plan.building import BuiltPlan, build_plan
from data_platform.plan.kept import KeptNodes
from data_platform.plan.nodes import RawNode
from data_platform.plan.pipelines import PipelinePlan, Plan
from data_platform.plan.schemas import Schema
from data_platform.plan.sources.kinds import (
    Api,
    DatabaseQuery,
    DatabaseTable,
    Files,
    PythonSource,
    Topic,
)
from data_platform.secrets.stores import expand, expand_model, expand_secret
from data_platform.secrets.written import know_workspace
from data_platform.settings import Settings
from data_platform.spec.guessing import guess_assets
from data_platform.spec.handwritten import ASSETS_FILE
from data_platform.spec.platform import Connection, DatabaseConnection, S3Connection
from data_platform.spec.reading import BrokenPipeline, Workspace, read_workspace

if TYPE_CHECKING:
    from data_platform.engine.outside import Outside
    from data_platform.handwritten.written import AssetsFile
    from data_platform.storage.lake import Lake
    from data_platform.storage.workbench import Workbench

# Storage, drivers and the embedded server are imported where somebody asks for them: `check` and
# what else only reads starts in half the time.

KEPT = "plans"
"""The folder of compiled nodes, below the platform's data; may be removed at any time."""


@dataclass(frozen=True)
class Loaded:
    """All pipelines of a machine or deployment.

    Attributes:
        workspace: as read.
        built: the plan of the sound pipelines.
        problems: of reading and planning together, by place, each once.
        assets_files: what the `assets.py` of a pipeline holds, by pipeline.
    """

    workspace: Workspace
    built: BuiltPlan
    problems: tuple[Problem, ...]
    assets_files: Mapping[str, "AssetsFile"]
    _settings: Settings = field(repr=False)
    _environ: Mapping[str, str] = field(repr=False)

    @property
    def plan(self) -> Plan:
        """What will exist."""
        return self.built.plan

    @property
    def home(self) -> Path:
        """The folder from which relative paths of platform.yaml start."""
        return self._settings.home

    @property
    def broken(self) -> tuple[str, ...]:
        """The names of the pipelines that have mistakes, whether found by reading or planning."""
        names = {entry.name for entry in self.workspace.broken} | {
            name for name in self.built.broken if self.plan.pipeline(name) is None
        }
        return tuple(sorted(names))

    @property
    def unreadable(self) -> tuple[Problem, ...]:
        """The mistakes of platform.yaml: with any, it names neither connections nor routes."""
        return tuple(one for one in self.workspace.platform_problems if not one.warning)

    def pipeline(self, name: str) -> PipelinePlan:
        """A sound pipeline.

        Raises:
            ConfigurationError: it has mistakes: these.
            PermanentError: there is none of this name.
        """
        found = self.plan.pipeline(name)
        if found is not None:
            return found
        if name in self.broken:
            raise ConfigurationError(self.problems_of(name))
        known = [*(pipeline.name for pipeline in self.plan.pipelines), *self.broken]
        near = difflib.get_close_matches(name, known, 1)
        hint = f"did you mean {near[0]}?" if near else f"there are: {', '.join(known) or 'none'}"
        raise PermanentError(f"there is no pipeline {name!r}; {hint}")

    def connection_url(self, name: str) -> str:
        """The URL of a connection of platform.yaml; starts the embedded server if it names that.

        Raises:
            PermanentError: there is no such connection, or its variables aren't set.
            ConfigurationError: platform.yaml has mistakes.
        """
        connection = self._connection(name)
        if not isinstance(connection, DatabaseConnection):
            raise PermanentError(f"connection {name!r} is of type {connection.type}, no database")
        from data_platform.sources.database.databases import absolute_url  # noqa: PLC0415

        url = absolute_url(expand(connection.url, self._environ), self._settings.home)
        return _resolved(url, self._settings.data_dir)

    def outside(self) -> "Outside":
        """What the pipelines connect to, as a step reaches it; asked when something connects."""
        from data_platform.engine.outside import Outside  # noqa: PLC0415

        def connection(name: str) -> Connection:
            written = self._connection(name)
            if isinstance(written, DatabaseConnection):
                return written.model_copy(update={"url": self.connection_url(name)})
            return expand_model(written, self._environ)

        return Outside(connection, lambda text: expand(text, self._environ))

    def _connection(self, name: str) -> Connection:
        """A connection as platform.yaml has it."""
        self.require_platform()
        connection = self.workspace.platform.connections.get(name)
        if connection is None:
            known = ", ".join(self.workspace.platform.connections) or "none"
            raise PermanentError(f"no connection {name!r} in platform.yaml; there are: {known}")
        return connection

    def lake(self) -> "Lake":
        """The lake of platform.yaml, there or not.

        Raises:
            PermanentError: a variable of its root or its connection isn't set, or it can't be
                there.
            ConfigurationError: platform.yaml has mistakes.
        """
        from data_platform.storage.lake import lake_at  # noqa: PLC0415

        self.require_platform()
        platform = self.workspace.platform
        named = platform.connections.get(platform.lake.connection or "")
        return lake_at(
            expand(platform.lake.root, self._environ),
            self._settings.home,
            self._settings.data_dir,
            expand_model(named, self._environ) if isinstance(named, S3Connection) else None,
        )

    def workbench(self) -> "Workbench":
        """The lake, and what the settings let one step take of the machine."""
        from data_platform.storage.workbench import Workbench  # noqa: PLC0415

        masking = self.workspace.platform.masking
        return Workbench(
            self.lake(),
            self._settings.memory_limit,
            self._settings.threads,
            masking_key=functools.partial(expand_secret, masking.key, self._environ)
            if masking
            else None,
        )

    def problems_of(self, name: str) -> tuple[Problem, ...]:
        """What is wrong with a broken pipeline."""
        for entry in self.workspace.broken:
            if entry.name == name:
                return entry.problems
        folders = {file.folder for file in self.workspace.pipelines if file.spec.pipeline == name}
        return tuple(p for p in self.problems if folders & set(p.location.file.parents))

    def require_platform(self) -> None:
        """Defaults stand in for a broken platform.yaml, but nothing may be done with them.

        Raises:
            ConfigurationError: it has mistakes.
        """
        wrong = [problem for problem in self.workspace.platform_problems if not problem.warning]
        if wrong:
            raise ConfigurationError(wrong)


def load(settings: Settings, environ: Mapping[str, str], *, connect: bool = False) -> Loaded:
    """Read and plan all pipelines.

    Args:
        settings: where they are.
        environ: what `${VAR}` in them refers to.
        connect: ask databases for the columns of their tables too, not only files that are there.
    """
    with collecting_nothing():
        return _load(settings, environ, connect=connect)


@contextmanager
def collecting_nothing() -> Generator[None]:
    """Leave garbage alone for the while.

    Nearly all that loading makes stays as long as the process: to look through it again and again
    is a third of the time of 2,000 assets. Nor does what is made next look through it at once.
    """
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            # All that is there becomes old at once, as if it had been looked through.
            gc.freeze()
            gc.unfreeze()
            gc.enable()


def _load(settings: Settings, environ: Mapping[str, str], *, connect: bool) -> Loaded:
    workspace, files = _with_assets(read_workspace(settings.pipelines_dirs, environ, settings.home))
    know_workspace(workspace, environ)
    columns = _SourceColumns(connect=connect)
    # The columns of sources are asked for while the plan is built, connections by a plan that
    # isn't there yet: all that they need of it is platform.yaml.
    columns.loaded = _unplanned(workspace, settings, environ)
    handwritten = {name: file.assets for name, file in files.items()}
    kept = KeptNodes(settings.data_dir / KEPT)
    built = build_plan(workspace, columns, handwritten, kept)
    problems = {*workspace.problems, *built.problems, *columns.problems}
    return Loaded(workspace, built, tuple(sorted(problems)), files, settings, environ)


def unplanned(settings: Settings, environ: Mapping[str, str]) -> Loaded:
    """The pipelines as read, for whoever asks for connections alone; nothing is planned.

    Args:
        settings: where they are.
        environ: what `${VAR}` in them refers to.
    """
    workspace = read_workspace(settings.pipelines_dirs, environ, settings.home)
    know_workspace(workspace, environ)
    return _unplanned(workspace, settings, environ)


def _unplanned(workspace: Workspace, settings: Settings, environ: Mapping[str, str]) -> Loaded:
    return Loaded(workspace, BuiltPlan(Plan(()), (), {}), (), {}, settings, environ)


def _with_assets(workspace: Workspace) -> tuple[Workspace, dict[str, "AssetsFile"]]:
    """The `assets.py` of each pipeline; one with a mistake breaks its pipeline."""
    with_file = [file for file in workspace.pipelines if (file.folder / ASSETS_FILE).is_file()]
    if not with_file:
        return workspace, {}
    # Dagster, which such a file needs itself, is imported only where there is one.
    from data_platform.handwritten.reading import read_assets  # noqa: PLC0415

    platform = workspace.platform
    resources = None if workspace.platform_problems else tuple(platform.connections)
    files = {file.spec.pipeline: read_assets(file, resources) for file in with_file}
    wrong = {name for name, file in files.items() if not file.sound}
    broken = [
        BrokenPipeline(
            file.spec.pipeline,
            file.document.path,
            files[file.spec.pipeline].problems,
            guess_assets(file.spec.pipeline, file.document.path, file.document.data),
        )
        for file in with_file
        if file.spec.pipeline in wrong
    ]
    workspace = replace(
        workspace,
        pipelines=tuple(f for f in workspace.pipelines if f.spec.pipeline not in wrong),
        broken=(*workspace.broken, *broken),
        problems=(*workspace.problems, *(p for file in files.values() for p in file.problems)),
    )
    return workspace, {name: file for name, file in files.items() if name not in wrong}


class _SourceColumns:
    """Tells the planner the columns of sources; keeps what went wrong as problems."""

    def __init__(self, *, connect: bool) -> None:
        self.problems: list[Problem] = []
        self.loaded: Loaded
        self._connect = connect

    def __call__(self, node: RawNode) -> Schema | None:
        match node.source:
            case Files() as source:
                return self._of_files(source, node.location)
            case DatabaseTable() | DatabaseQuery() as source:
                return self._of_database(source, node) if self._connect else None
            case Api() | Topic() | PythonSource():
                return None

    def _of_files(self, source: Files, location: Location) -> Schema | None:
        from data_platform.sources.files.schemas import files_schema, named_files  # noqa: PLC0415

        schema = files_schema(source)
        if schema is None and self._connect:
            self._ask(lambda: named_files(source), location)
        return schema

    def _of_database(self, source: DatabaseTable | DatabaseQuery, node: RawNode) -> Schema | None:
        from data_platform.sources.database.describing import source_schema  # noqa: PLC0415

        found: list[Schema] = []
        url = functools.partial(self.loaded.connection_url, source.connection)
        self._ask(lambda: found.append(source_schema(url(), node)), node.location)
        return found[0] if found else None

    def _ask(self, question: Callable[[], object], location: Location) -> None:
        try:
            question()
        except ConfigurationError:
            return  # platform.yaml's own problems are reported there
        except PlatformError as error:
            warning = isinstance(error, SourceUnavailable)
            self.problems.append(Problem(location, _first_line(error), warning=warning))


@functools.cache
def _resolved(url: str, data_dir: Path) -> str:
    """A URL as libpq takes it; once a process, since a server that was started stays up."""
    from data_platform.embedded.server import resolve_url  # noqa: PLC0415

    return resolve_url(url, data_dir)


def _first_line(error: Exception) -> str:
    return str(error).splitlines()[0]
