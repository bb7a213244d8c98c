"""All pipelines of the pipelines folders, read and held to the language.

Called by `definitions` and `cli`, which hand the result to `plan`. A pipeline that is broken never
hides the others: it comes out as `BrokenPipeline`, with its problems and what assets it seems to
have. Must not resolve references between assets: that is the plan's.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from pydantic import ValidationError

from data_platform.errors import ConfigurationError, Location, Problem
from data_platform.spec.document import Document, read_document
from data_platform.spec.guessing import AssetName, guess_assets
from data_platform.spec.messages import problems_of
from data_platform.spec.pipeline import Pipeline
from data_platform.spec.platform import Platform
from data_platform.spec.variables import check_document, expand_document
from data_platform.spec.wording import show

PIPELINE_FILE = "pipeline.yaml"
PLATFORM_FILE = "platform.yaml"
MAX_PROBLEMS = 100
"""Of one file; a person mends these first."""

_SHIPPED = Path(__file__).parents[1] / "pipelines"


@dataclass(frozen=True)
class PipelineFile:
    """A pipeline without mistakes.

    Attributes:
        spec: what it says, variables expanded.
        document: the file as written.
        folder: where its `.sql` and `.py` files are.
        base_dir: where relative paths in the YAML start.
    """

    spec: Pipeline
    document: Document
    folder: Path
    base_dir: Path

    def locate(self, *keys: str | int) -> Location:
        """Where the deepest key or item on the way of `keys` stands in the file."""
        return self.document.locate(*keys)


@dataclass(frozen=True)
class BrokenPipeline:
    """A pipeline with mistakes.

    Attributes:
        name: its folder's name.
        path: its file, or the folder where it has none.
        problems: what is wrong, in the file's order.
        assets: `(layer, pipeline, name)` of the assets that it seems to have; none that another
            pipeline has too.
    """

    name: str
    path: Path
    problems: tuple[Problem, ...]
    assets: tuple[AssetName, ...] = ()


@dataclass(frozen=True)
class Workspace:
    """Everything that people wrote.

    Attributes:
        platform: `platform.yaml` of the first folder; all defaults where there is none, and where
            it is broken: see `platform_problems` before anything is run.
        platform_document: the file as written, if there is one that can be read.
        platform_problems: what is wrong with it.
        pipelines: the sound ones, by folder.
        broken: the others.
        problems: all problems and warnings of all files.
    """

    platform: Platform
    platform_document: Document | None
    platform_problems: tuple[Problem, ...]
    pipelines: tuple[PipelineFile, ...]
    broken: tuple[BrokenPipeline, ...]
    problems: tuple[Problem, ...]


@dataclass(frozen=True)
class _Read:
    """What came out of a file: a value, or none, and what is wrong."""

    problems: tuple[Problem, ...]
    document: Document | None = None


def read_workspace(
    dirs: Sequence[Path], environ: Mapping[str, str], home: Path
) -> Workspace:
    """Read all pipelines.

    Args:
        dirs: the pipelines folders; the first one holds `platform.yaml`.
        environ: what `${VAR}` in pipelines refers to.
        home: where relative paths of the pipelines that ship start.
    """
    platform, document, platform_problems = read_platform(dirs[0] / PLATFORM_FILE) if dirs else (
        Platform(), None, ()
    )
    loose = [problem for folder in dirs for problem in _loose_files(folder, first=folder == dirs[0])]
    read = [
        read_pipeline(folder, environ, home) for entry in dirs for folder in _folders(entry)
    ]
    pipelines, broken = _without_duplicates(read)
    problems = [*platform_problems, *loose]
    problems += [problem for entry in broken for problem in entry.problems]
    return Workspace(
        platform, document, platform_problems, pipelines, broken, tuple(problems)
    )
