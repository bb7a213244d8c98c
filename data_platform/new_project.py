"""A folder of one's own with a pipeline that runs: what `data-platform init` makes.

Called by `cli`. Its files are those of `project_template`: one that is added there is part of every
new project. In them `{{ name }}` stands for the project's name, `{{ version }}` for this package's
version. Writes nothing where there is something already.
"""

import re
import shlex
import unicodedata
from collections.abc import Iterator, Mapping
from importlib.metadata import version
from pathlib import Path

from data_platform.errors import PermanentError
from data_platform.settings import PACKAGE_DIR

TEMPLATE = PACKAGE_DIR / "project_template"
DISTRIBUTION = "data-platform"

_RENAMED = {"gitignore": ".gitignore", "pyproject.template.toml": "pyproject.toml"}
"""Files whose own name would mean something in this repository, or be left out of a wheel."""
_PLACEHOLDER = re.compile(r"\{\{ (name|version) \}\}")
_LEFT_OUT = {"__pycache__"}
_MAY_BE_THERE = {".git", ".venv", ".idea", ".vscode"}
_MAX_NAMED = 3


def make_project(folder: Path) -> list[Path]:
    """Make a project.

    Args:
        folder: new or empty; a repository or an environment without anything else may be in it.

    Returns:
        Its files, relative to it, in order.

    Raises:
        PermanentError: there is something else in it, or it can't be written.
    """
    _require_empty(folder)
    values = {"name": project_name(folder), "version": version(DISTRIBUTION)}
    written: list[Path] = []
    try:
        for path, text in _files():
            target = folder / path
            target.parent.mkdir(parents=True, exist_ok=True)
            filled = _PLACEHOLDER.sub(lambda match: values[match[1]], text)
            target.write_text(filled, encoding="utf-8")
            written.append(path)
    except OSError as error:
        raise PermanentError(f"{error.filename}: {_reason(error)}") from error
    return sorted(written)


def made_lines(folder: Path, environ: Mapping[str, str]) -> Iterator[str]:
    """What to tell whoever made it: what it is, and what to do next."""
    yield f"{folder} has a pipeline, sales, over a CSV, and tests of it. Next:"
    yield ""
    if folder.resolve() != Path.cwd().resolve():
        yield f"  cd {shlex.quote(str(folder))}"
    yield "  data-platform run sales"
    yield "  dagster dev"
    for name in ("DATA_PLATFORM_PIPELINES", "DATA_PLATFORM_HOME"):
        if value := environ.get(name):
            yield ""
            yield f"{name} is set to {value} and would be used there instead: unset it first."


def project_name(folder: Path) -> str:
    """A distribution's name after a folder's: of ASCII letters, digits and dashes."""
    plain = unicodedata.normalize("NFKD", folder.absolute().name).encode("ascii", "ignore").decode()
    name = re.sub(r"[^a-z0-9]+", "-", plain.lower()).strip("-")
    # A project that depends on itself can't be installed.
    return f"{name}-pipelines" if name == DISTRIBUTION else name or "pipelines"


def _require_empty(folder: Path) -> None:
    if not folder.exists():
        return
    if not folder.is_dir():
        raise PermanentError(f"{folder} is a file: name a folder that is new or empty")
    try:
        found = sorted(entry.name for entry in folder.iterdir())
    except OSError as error:
        raise PermanentError(f"{folder}: {_reason(error)}") from error
    found = [name for name in found if name not in _MAY_BE_THERE]
    if found:
        more = f" and {len(found) - _MAX_NAMED} more" if len(found) > _MAX_NAMED else ""
        raise PermanentError(
            f"{folder} isn't empty: it holds {', '.join(found[:_MAX_NAMED])}{more}; nothing was "
            "written. Name a folder that is new or empty"
        )


def _files() -> Iterator[tuple[Path, str]]:
    """The files of a project by their paths in it."""
    yield Path("dagster.yaml"), (PACKAGE_DIR / "dagster.yaml").read_text(encoding="utf-8")
    for file in sorted(TEMPLATE.rglob("*")):
        path = file.relative_to(TEMPLATE)
        if file.is_file() and not _LEFT_OUT & set(path.parts):
            yield path.with_name(_RENAMED.get(path.name, path.name)), file.read_text("utf-8")


def _reason(error: OSError) -> str:
    return (error.strerror or str(error)).lower()
