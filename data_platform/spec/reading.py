"""All pipelines of the pipelines folders, read and held to the language.

Called by `definitions` and `cli`, which hand the result to `plan`. A pipeline that is broken never
hides the others: it comes out as `BrokenPipeline`, with its problems and what assets it seems to
have. Must not resolve references between assets: that is the plan's.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TypeVar

from pydantic import BaseModel, ValidationError

from data_platform.errors import ConfigurationError, Location, Problem
from data_platform.spec.document import Document, read_document
from data_platform.spec.guessing import AssetName, guess_assets
from data_platform.spec.lake_root import lake_problems
from data_platform.spec.messages import problems_of
from data_platform.spec.pipeline import Pipeline
from data_platform.spec.platform import Platform
from data_platform.spec.secrets import written_secrets
from data_platform.spec.variables import check_document, expand_document
from data_platform.spec.wording import show

PIPELINE_FILE = "pipeline.yaml"
PLATFORM_FILE = "platform.yaml"
MAX_PROBLEMS = 100
"""Of one file; a person mends these first."""

Read = TypeVar("Read", bound=BaseModel)

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


def read_workspace(dirs: Sequence[Path], environ: Mapping[str, str], home: Path) -> Workspace:
    """Read all pipelines.

    Args:
        dirs: the pipelines folders; the first one holds `platform.yaml`.
        environ: what `${VAR}` in pipelines refers to.
        home: where relative paths of the pipelines that ship start.
    """
    platform, document, problems = read_platform(dirs[0]) if dirs else (Platform(), None, ())
    if document is not None and not problems:
        problems = tuple(lake_problems(platform, document, environ))
    loose = [problem for index, entry in enumerate(dirs) for problem in _loose(entry, index)]
    read = [read_pipeline(path, environ, home) for entry in dirs for path in _folders(entry)]
    pipelines, broken = _told_apart(read)
    documents = [*([document] if document else []), *(file.document for file in pipelines)]
    secrets = [problem for each in documents for problem in written_secrets(each)]
    return Workspace(
        platform=platform,
        platform_document=document,
        platform_problems=problems,
        pipelines=pipelines,
        broken=broken,
        problems=(*problems, *loose, *secrets, *(p for entry in broken for p in entry.problems)),
    )


def read_pipeline(
    path: Path, environ: Mapping[str, str], home: Path
) -> PipelineFile | BrokenPipeline:
    """Read one pipeline, from its folder or its file."""
    file = path if _is_yaml(path) else path / PIPELINE_FILE
    folder = file.parent
    name = folder.absolute().name
    if problem := _misnamed(folder):
        return BrokenPipeline(name, folder, (problem,))
    try:
        document = read_document(file)
    except ConfigurationError as error:
        return BrokenPipeline(name, file, bounded(error.problems), guess_assets(name, file))
    data, unset = expand_document(document, environ)
    spec, problems = validated(Pipeline, data, document, unset)
    if spec and spec.pipeline != name:
        message = f"pipeline {show(document.data['pipeline'])} stands in the folder {show(name)}"
        text = f"{message}: both must have one name"
        problems = (*problems, Problem(document.locate("pipeline"), text))
    if spec is None or problems:
        return BrokenPipeline(name, file, problems, guess_assets(name, file, document.data))
    return PipelineFile(spec, document, folder, _base_dir(folder, home))


def read_platform(folder: Path) -> tuple[Platform, Document | None, tuple[Problem, ...]]:
    """`platform.yaml` of a pipelines folder; the defaults where it is missing or broken."""
    file = folder / PLATFORM_FILE
    if file not in (_entries(folder) or ()):
        return Platform(), None, ()
    try:
        document = read_document(file)
    except ConfigurationError as error:
        return Platform(), None, bounded(error.problems)
    wrong = check_document(document)
    platform, problems = validated(Platform, document.data, document, wrong)
    return platform or Platform(), document, problems


def validated(
    model: type[Read], data: object, document: Document, found: tuple[Problem, ...]
) -> tuple[Read | None, tuple[Problem, ...]]:
    """The model, and what is wrong; one problem a place, since one mistake leads to others."""
    problems = [*document.problems, *found]
    places = {problem.location for problem in problems}
    result = None
    try:
        result = model.model_validate(data)
    except ValidationError as error:
        problems += [p for p in problems_of(error, document) if p.location not in places]
    return result, bounded(problems)


def bounded(problems: Iterable[Problem]) -> tuple[Problem, ...]:
    """Problems in order; of very many the first ones."""
    ordered = sorted(problems)
    if len(ordered) > MAX_PROBLEMS:
        last = Problem(ordered[MAX_PROBLEMS].location, "more problems from here on")
        ordered[MAX_PROBLEMS:] = [last]
    return tuple(ordered)


def _told_apart(
    read: Sequence[PipelineFile | BrokenPipeline],
) -> tuple[tuple[PipelineFile, ...], tuple[BrokenPipeline, ...]]:
    """Sound and broken pipelines; the second of a name is broken, and no asset is there twice."""
    sound: dict[str, PipelineFile] = {}
    broken: list[BrokenPipeline] = []
    for entry in read:
        if isinstance(entry, BrokenPipeline):
            broken.append(entry)
        elif (first := sound.get(entry.spec.pipeline)) is None:
            sound[entry.spec.pipeline] = entry
        else:
            text = f"pipeline {show(entry.spec.pipeline)} is declared already: {first.locate()}"
            problem = Problem(entry.locate("pipeline"), text)
            broken.append(BrokenPipeline(entry.folder.name, entry.document.path, (problem,)))
    taken = set(sound)
    for index, entry in enumerate(broken):
        if entry.name in taken:
            broken[index] = replace(entry, assets=())
        taken.add(entry.name)
    return tuple(sound.values()), tuple(broken)


def _folders(pipelines_dir: Path) -> Iterator[Path]:
    """The folders that hold a pipeline, or look as if they should, or can't be looked into."""
    for path in _entries(pipelines_dir) or ():
        if path.name.startswith((".", "__")) or not _may_be_folder(path):
            continue
        inside = _entries(path)
        if inside is None or any(map(_is_yaml, inside)):
            yield path


def _misnamed(folder: Path) -> Problem | None:
    """What is wrong with a folder that has YAML but no pipeline."""
    names = [entry.name for entry in _entries(folder) or () if _is_yaml(entry)]
    if not names or PIPELINE_FILE in names:
        return None
    message = f"no {PIPELINE_FILE} in this folder, but {show(names[0])}"
    return Problem(Location(folder), f"{message}: a pipeline stands in {PIPELINE_FILE}")


def _loose(pipelines_dir: Path, index: int) -> Iterator[Problem]:
    """Problems of a pipelines folder itself."""
    entries = _entries(pipelines_dir)
    if entries is None:
        yield Problem(Location(pipelines_dir), "no pipelines folder that can be read")
    for entry in filter(_is_yaml, entries or ()):
        if entry.name == "platform.yml":
            yield Problem(Location(entry), f"is not read: name it {PLATFORM_FILE}")
        elif entry.name != PLATFORM_FILE:
            text = f"is not read: a pipeline stands in <name>/{PIPELINE_FILE}"
            yield Problem(Location(entry), text, warning=True)
        elif index:
            text = f"is not read: only the first pipelines folder's {PLATFORM_FILE} is"
            yield Problem(Location(entry), text, warning=True)


def _entries(folder: Path) -> list[Path] | None:
    """What is in a folder; None where it can't be looked into."""
    try:
        return sorted(folder.iterdir())
    except OSError:
        return None


def _is_yaml(path: Path) -> bool:
    return path.suffix in {".yaml", ".yml"}


def _may_be_folder(path: Path) -> bool:
    """Also of links to nowhere and what can't be asked: it would else vanish without a word."""
    try:
        return path.is_dir() or (path.is_symlink() and not path.exists() and not _is_yaml(path))
    except OSError:
        return True


def _base_dir(folder: Path, home: Path) -> Path:
    pipelines_dir = folder.absolute().parent
    return home if pipelines_dir.resolve() == _SHIPPED else pipelines_dir.parent
