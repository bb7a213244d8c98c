"""Revisions of pipelines: what is on disk, or what git kept of it, as files that can be read.

Called by `contract_diff`. git is a program that is only asked: nothing is checked out, and no
function of a revision is run. A revision of git is laid down in a folder of the caller's.
"""

import difflib
import os
import subprocess
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from data_platform.errors import Location, PermanentError
from data_platform.spec.handwritten import ASSETS_FILE
from data_platform.spec.reading import PIPELINE_FILE

_LAID_DOWN = (".yaml", ".yml", ".sql")
"""Of a revision of git, under their own names."""
_PYTHON = ".py"
_NOT_RUN = ".txt"
"""What is put behind the names of Python files: reading a revision must run nothing of it."""
_SECONDS = 60


@dataclass(frozen=True)
class Revision:
    """Pipelines as they are or were.

    Attributes:
        label: what a person calls it.
        files: each pipeline.yaml of it; none where what was named isn't there.
        laid_down: the folder that files of git are laid down in; None where they are on disk.
        single: whether one pipeline was named, and not a folder of them.
    """

    label: str
    files: tuple[Path, ...]
    laid_down: Path | None = None
    single: bool = False

    def place(self, location: Location, home: Path) -> str:
        """A place as people find it: `main:pipelines/shop/pipeline.yaml:12`."""
        file, before = location.file, ""
        if self.laid_down is not None and file.is_relative_to(self.laid_down):
            file, before = file.relative_to(self.laid_down), f"{self.label.partition(':')[0]}:"
        elif file.is_relative_to(home):
            file = file.relative_to(home)
        return f"{before}{file.as_posix()}:{location.line}"

    def assets_file(self, pipeline_file: Path) -> Path | None:
        """The hand-written assets beside a pipeline; of git under a name that nobody runs."""
        name = ASSETS_FILE if self.laid_down is None else f"{ASSETS_FILE}{_NOT_RUN}"
        beside = pipeline_file.with_name(name)
        return beside if beside.is_file() else None

    @property
    def folders(self) -> list[Path]:
        """The pipelines folders that the files stand in, as far as they stand in one."""
        inside = [file.parent.parent for file in self.files if file.name == PIPELINE_FILE]
        return list(dict.fromkeys(inside))


def two_revisions(
    old: str, new: str | None, pipelines_dirs: Sequence[Path], scratch: Path
) -> tuple[Revision, Revision]:
    """The revisions that a person named.

    Args:
        old: a file, a folder, a git reference, or `reference:path`.
        new: the same; None means the working tree.
        pipelines_dirs: what a reference without a path is about, and the working tree.
        scratch: where files of git are laid down.

    Raises:
        PermanentError: there is nothing of the name.
    """
    before = _revision(old, pipelines_dirs, scratch / "old")
    after = (
        _working_tree(old, pipelines_dirs)
        if new is None
        else _revision(new, pipelines_dirs, scratch / "new")
    )
    if not before.files and not after.files:
        raise PermanentError(f"there is no {PIPELINE_FILE} in {before.label} nor in {after.label}")
    return before, after


def _revision(named: str, pipelines_dirs: Sequence[Path], scratch: Path) -> Revision:
    path = Path(named)
    if path.exists():
        return _on_disk(named, [path])
    reference, colon, inside = named.partition(":")
    if not reference:
        raise PermanentError(f"{named!r} names no file, no folder and no git reference")
    start = Path.cwd() if colon else next((d for d in pipelines_dirs if d.is_dir()), Path.cwd())
    top = _top_of(start, named)
    commit = _commit(top, reference, named)
    paths = (
        [_below(top, inside)] if colon else [_below(top, str(d.absolute())) for d in pipelines_dirs]
    )
    return _of_git(top, commit, named, paths, scratch)


def _working_tree(old: str, pipelines_dirs: Sequence[Path]) -> Revision:
    """What is on disk of what the old revision names."""
    _, colon, inside = old.partition(":")
    if Path(old).exists() or not colon:
        return _on_disk("working tree", pipelines_dirs)
    top = _top_of(Path.cwd(), old)
    return _on_disk("working tree", [top / _below(top, inside)])


def _on_disk(label: str, paths: Sequence[Path]) -> Revision:
    whole = [path.absolute() for path in paths]
    files = [file for path in whole for file in _pipeline_files(path)]
    return Revision(label, tuple(files), None, _is_single(whole, files))


def _of_git(top: Path, commit: str, label: str, paths: Sequence[str], scratch: Path) -> Revision:
    _lay_down(top, commit, [_with_neighbours(path) for path in paths], scratch)
    named = [scratch / path for path in paths]
    files = [file for path in named for file in _pipeline_files(path)]
    return Revision(label, tuple(files), scratch, _is_single(named, files))


def _is_single(paths: Sequence[Path], files: Sequence[Path]) -> bool:
    return len(paths) == 1 and list(files) in ([paths[0]], [paths[0] / PIPELINE_FILE])


def _pipeline_files(path: Path) -> list[Path]:
    """A file itself; of a folder its pipeline, or those of the folders in it."""
    if path.is_file():
        return [path]
    own = path / PIPELINE_FILE
    if own.is_file():
        return [own]
    return sorted(file for file in path.glob(f"*/{PIPELINE_FILE}") if file.is_file())


# git ------------------------------------------------------------------------------------------


def _top_of(folder: Path, named: str) -> Path:
    """The folder of the working tree that a folder is in."""
    found = _git(folder, "rev-parse", "--show-toplevel")
    if found is None:
        raise PermanentError(
            f"{named!r} is no file and no folder here, and no git reference either: {folder} is in "
            "no git repository that git may read"
        )
    return Path(found.decode().rstrip("\n"))


def _commit(top: Path, reference: str, named: str) -> str:
    """The commit that a reference names."""
    wanted = f"{reference}^{{commit}}"
    found = _git(top, "rev-parse", "--verify", "--quiet", "--end-of-options", wanted)
    if found is not None:
        return found.decode().strip()
    known = (_git(top, "for-each-ref", "--format=%(refname:short)") or b"").decode().split()
    near = difflib.get_close_matches(reference, known, 1)
    hint = f"did you mean {near[0]}?" if near else "is it fetched? A shallow clone has few of them"
    raise PermanentError(
        f"{named!r} is no file and no folder here, and git knows no reference {reference!r}; {hint}"
    )


def _below(top: Path, path: str) -> str:
    """A path as git names it, from the top; one with a dot before starts here, as git has it."""
    if not Path(path).is_absolute():
        if not path.startswith(("./", "../")) and path not in {".", ".."}:
            return PurePosixPath(path).as_posix()
        path = os.path.abspath(path)  # noqa: PTH100  resolve() would follow links, absolute() keeps ..
    absolute = Path(os.path.realpath(path))
    if not absolute.is_relative_to(top):
        raise PermanentError(f"{path} isn't in the git repository {top}: name a path of it")
    return absolute.relative_to(top).as_posix()


def _with_neighbours(path: str) -> str:
    """A pipeline's folder of pipelines: who reads a column may stand in another one."""
    parts = PurePosixPath(path).parts
    if parts and parts[-1] == PIPELINE_FILE and len(parts) > 2:  # noqa: PLR2004
        return str(PurePosixPath(*parts[:-2]))
    return path


def _lay_down(top: Path, commit: str, paths: Sequence[str], folder: Path) -> None:
    """Write the files of a commit that pipelines are made of."""
    below = [] if "." in paths else paths
    listed = _git(top, "ls-tree", "-r", "-z", "--full-tree", commit, "--", *below) or b""
    names: list[str] = []
    blobs: list[str] = []
    for entry in filter(None, listed.decode("utf-8", "surrogateescape").split("\0")):
        about, _, name = entry.partition("\t")
        _, kind, blob = about.split()
        parts = PurePosixPath(name).parts
        wanted = name.endswith((*_LAID_DOWN, _PYTHON))
        if kind == "blob" and wanted and ".." not in parts:
            names.append(f"{name}{_NOT_RUN}" if name.endswith(_PYTHON) else name)
            blobs.append(blob)
    for name, content in zip(names, _contents(top, blobs), strict=True):
        target = folder / PurePosixPath(name)
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(content)


def _contents(top: Path, blobs: Sequence[str]) -> Iterator[bytes]:
    """The contents of blobs, by one call: `<id> blob <size>`, the bytes, and a line's end."""
    given = "".join(f"{blob}\n" for blob in blobs).encode()
    answer = _git(top, "cat-file", "--batch", given=given) or b""
    start = 0
    for _ in blobs:
        end = answer.index(b"\n", start)
        size = int(answer[start:end].split()[-1])
        yield answer[end + 1 : end + 1 + size]
        start = end + 2 + size


def _git(folder: Path, *arguments: str, given: bytes = b"") -> bytes | None:
    """What git answers; None where it says no.

    Raises:
        PermanentError: there is no git, or it doesn't end.
    """
    command = ["git", "-C", str(folder), "--no-pager", "--no-optional-locks", *arguments]
    try:
        done = subprocess.run(  # noqa: S603  of fixed words, and names behind an end of options
            command, input=given, capture_output=True, timeout=_SECONDS, check=False
        )
    except FileNotFoundError:
        raise PermanentError(
            "there is no program git, which git references need: install it, or name files"
        ) from None
    except subprocess.TimeoutExpired:
        raise PermanentError(f"git didn't answer within {_SECONDS} s: {arguments[0]}") from None
    return done.stdout if done.returncode == 0 else None
