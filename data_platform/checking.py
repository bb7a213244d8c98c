"""Which mistakes a person asked about: those of all pipelines, of one, or of a file.

Called by the command's `check`. What is looked at decides only about what is told: everything is
read and planned, so that references to other pipelines resolve.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from data_platform.errors import PermanentError, Problem
from data_platform.loading import Loaded, load
from data_platform.settings import Settings
from data_platform.spec.reading import PIPELINE_FILE, PLATFORM_FILE
from data_platform.spec.reading_tests import TESTS_FILE

_YAML = (".yaml", ".yml")


@dataclass(frozen=True)
class Checked:
    """What is wrong with what was looked at.

    Attributes:
        pipelines: how many were looked at, broken ones included.
        problems: by place.
    """

    pipelines: int
    problems: tuple[Problem, ...]

    @property
    def sound(self) -> bool:
        """Whether there is nothing but warnings."""
        return all(problem.warning for problem in self.problems)


def check(
    settings: Settings, environ: Mapping[str, str], path: Path | None, *, connect: bool = False
) -> Checked:
    """Find mistakes.

    Args:
        settings: name the pipelines folders.
        environ: what `${VAR}` refers to.
        path: a pipelines folder, a pipeline's folder, or a file in one; None means all folders of
            the settings.
        connect: ask databases for the columns of their tables.

    Raises:
        PermanentError: there is no pipeline at `path`.
    """
    if path is None:
        loaded = load(settings, environ, connect=connect)
        return Checked(len(_folders(loaded)), _problems(loaded, environ))
    path = path.absolute()
    folder = _pipelines_folder(path)
    settings = settings_for(settings, folder)
    loaded = load(settings, environ, connect=connect)
    scope = path.parent if path.name == PIPELINE_FILE else path
    pipelines = [
        found for found in _folders(loaded) if _within(found, scope) or _within(scope, found)
    ]
    if not pipelines and path.is_dir():
        raise PermanentError(f"{path}: there is no pipeline in this folder")
    return Checked(
        len(pipelines),
        tuple(p for p in _problems(loaded, environ) if _within(p.location.file, scope)),
    )


def _problems(loaded: Loaded, environ: Mapping[str, str]) -> tuple[Problem, ...]:
    """What is wrong with pipelines and their unit tests."""
    if not any((folder / TESTS_FILE).is_file() for folder in _folders(loaded)):
        return loaded.problems
    # Rows are Arrow's, which takes longer to import than all the rest.
    from data_platform.unit_tests.finding import Suite  # noqa: PLC0415

    return tuple(sorted({*loaded.problems, *Suite(loaded, environ).problems()}))


def _pipelines_folder(path: Path) -> Path:
    """The pipelines folder that something is, or is in."""
    if path.is_dir():
        return path.parent if _is_pipeline(path) else path
    if path.name == PLATFORM_FILE:
        return path.parent
    if path.suffix in _YAML and path.name != PIPELINE_FILE and not _is_pipeline(path.parent):
        raise PermanentError(f"{path}: a pipeline stands in <name>/{PIPELINE_FILE}")
    return path.parent.parent


def _is_pipeline(folder: Path) -> bool:
    """Whether a folder holds a pipeline, or YAML that is none because of its name."""
    if (folder / PIPELINE_FILE).exists():
        return True
    if (folder / PLATFORM_FILE).exists() or any(folder.glob(f"*/{PIPELINE_FILE}")):
        return False
    return any(entry.suffix in _YAML for entry in folder.iterdir())


def settings_for(settings: Settings, folder: Path) -> Settings:
    """The settings with a pipelines folder: it alone, or all where it is one of them.

    `platform.yaml` is in the first.
    """
    known = {entry.resolve() for entry in settings.pipelines_dirs}
    if folder.resolve() not in known:
        return replace(settings, pipelines_dirs=(folder,))
    dirs = (
        folder if entry.resolve() == folder.resolve() else entry
        for entry in settings.pipelines_dirs
    )
    return replace(settings, pipelines_dirs=tuple(dirs))


def _folders(loaded: Loaded) -> list[Path]:
    sound = [file.folder for file in loaded.workspace.pipelines]
    return [*sound, *(entry.path for entry in loaded.workspace.broken)]


def _within(path: Path, scope: Path) -> bool:
    return path == scope or scope in path.parents
