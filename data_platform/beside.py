"""Python that people keep beside a pipeline's YAML, imported from its files.

Called by `plan`, which looks functions up, by the processes that run them, and by whoever loads
hand-written assets. Each pipeline's folder is a package of its own,
`data_platform_pipelines.<name>`: two pipelines may have a `cleaning.py` each. Its modules import
their neighbours plainly (`import cleaning`) or relatively (`from . import cleaning`), and nothing
of it leaks: neither `sys.path` nor the names of other modules change. Must not know the language
or Dagster.
"""

import builtins
import hashlib
import importlib
import importlib.util
import sys
import threading
import traceback
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec, SourceFileLoader
from pathlib import Path
from types import CodeType, ModuleType
from typing import Any

from data_platform.errors import ConfigurationError, Location, Problem

ROOT = "data_platform_pipelines"
"""The package above those of the pipelines. It exists in memory only."""
LONGEST_MESSAGE = 500
_LOCK = threading.RLock()


def import_beside(folder: Path, pipeline: str, module: str) -> ModuleType:
    """Import a module that stands beside a pipeline's YAML, as its file is now.

    Args:
        folder: the pipeline's.
        pipeline: its name.
        module: as Python names it from there: `cleaning`, or `rules.prices` in a folder `rules`.

    Raises:
        ConfigurationError: at the person's own line: there is no such file, it isn't Python, or
            running it raised.
    """
    with _LOCK:
        package = _current_package(folder.absolute(), pipeline)
        if file_beside(package.folder, module) is None:
            names = ", ".join(modules_beside(package.folder)) or "none"
            message = f"there is no such module; beside the pipeline are: {names}"
            raise ConfigurationError([Problem(Location(package.folder / f"{module}.py"), message)])
        try:
            return importlib.import_module(f"{package.name}.{module}")
        except (Exception, SystemExit) as error:
            raise ConfigurationError([problem_of(error, package.folder)]) from error


def file_beside(folder: Path, module: str) -> Path | None:
    """The file of a module beside a pipeline's YAML; None where there is none."""
    if not all(part.isidentifier() for part in module.split(".")):
        return None
    path = folder.joinpath(*module.split("."))
    files = (path.with_name(f"{path.name}.py"), path / "__init__.py")
    return next((file for file in files if file.is_file()), None)


def modules_beside(folder: Path) -> list[str]:
    """The names of the modules that stand in a folder, as `import_beside` takes them."""
    found = [file.relative_to(folder).with_suffix("") for file in _python_files(folder)]
    names = [path.parent if path.name == "__init__" else path for path in found]
    return sorted({".".join(path.parts) for path in names if path.parts})


def fingerprint_of(module: ModuleType) -> str:
    """A hash of a module's source, and of the modules beside it that it imported so far.

    One that isn't beside a pipeline counts by its own file alone.
    """
    package = _package_of(module.__name__)
    if package is None:
        file = getattr(module, "__file__", None)
        return _hash(Path(file).read_bytes() if file and Path(file).is_file() else b"")
    names, waiting = set[str](), [module.__name__]
    while waiting:
        name = waiting.pop()
        if name not in names:
            names.add(name)
            waiting += package.imports.get(name, ())
    return _hash("".join(package.sources.get(name, ("", ""))[1] for name in sorted(names)).encode())


def problem_of(error: BaseException, folder: Path) -> Problem:
    """What an error in a person's own code is about, at the last of their own lines.

    Args:
        error: with its traceback.
        folder: in which their code stands; an error outside it all is told at the folder.
    """
    if isinstance(error, SyntaxError) and error.filename:
        file = Path(error.filename)
        if folder.absolute() in file.parents:
            place = Location(file, error.lineno or 1, max(error.offset or 1, 1))
            return Problem(place, f"no valid Python: {error.msg}")
    return Problem(own_place(error, folder) or Location(folder), error_words(error))


def own_place(error: BaseException, folder: Path) -> Location | None:
    """The last line of a person's own code that an error went through; None if there is none."""
    frames = traceback.extract_tb(error.__traceback__)
    own = [frame for frame in frames if folder.absolute() in Path(frame.filename).parents]
    if not own:
        return None
    return Location(Path(own[-1].filename), own[-1].lineno or 1, (own[-1].colno or 0) + 1)


def error_words(error: BaseException) -> str:
    """An error's type and text, in one line of bounded length."""
    text = " ".join(str(error).split())
    if len(text) > LONGEST_MESSAGE:
        text = f"{text[:LONGEST_MESSAGE]}..."
    return f"{type(error).__name__}: {text}" if text else type(error).__name__


@dataclass
class _Package:
    """The modules of one pipeline's folder that are imported.

    Attributes:
        name: of the package.
        folder: of the pipeline.
        sources: by module, its file and a hash of what stood there when it was imported.
        imports: by module, the modules beside it that it imported.
    """

    name: str
    folder: Path
    sources: dict[str, tuple[Path, str]] = field(default_factory=dict[str, tuple[Path, str]])
    imports: dict[str, set[str]] = field(default_factory=dict[str, set[str]])

    @property
    def is_current(self) -> bool:
        """Whether every file still holds what was imported."""
        return all(file.is_file() and _hash(file.read_bytes()) == content
                   for file, content in self.sources.values())  # fmt: skip

    def forget(self) -> None:
        """Take its modules out of `sys.modules`; whoever holds one keeps it."""
        for name in [name for name in sys.modules if name == self.name or self.holds(name)]:
            del sys.modules[name]

    def holds(self, name: str) -> bool:
        """Whether a module of this name is in the package."""
        return name.startswith(f"{self.name}.")


_PACKAGES: dict[str, _Package] = {}


def _current_package(folder: Path, pipeline: str) -> _Package:
    """The package of a pipeline, made anew if its folder or a file of it is another by now."""
    name = f"{ROOT}.{pipeline}"
    package = _PACKAGES.get(name)
    if package is not None and package.folder == folder and package.is_current:
        return package
    if package is not None:
        package.forget()
    _PACKAGES[name] = package = _Package(name, folder)
    if not any(isinstance(finder, _Finder) for finder in sys.meta_path):
        sys.meta_path.insert(0, _Finder())
    root = sys.modules.setdefault(ROOT, _package_module(ROOT, []))
    module = sys.modules[name] = _package_module(name, [str(folder)])
    setattr(root, pipeline, module)
    return package


def _package_module(name: str, path: list[str]) -> ModuleType:
    module = ModuleType(name)
    module.__path__ = path
    module.__package__ = name
    return module


def _package_of(module: str) -> _Package | None:
    return _PACKAGES.get(".".join(module.split(".")[:2]))


class _Finder(MetaPathFinder):
    """Finds the modules of pipelines' packages, and nothing else."""

    def find_spec(
        self,
        fullname: str,
        path: Sequence[str] | None,  # noqa: ARG002 -- the protocol of finders
        target: ModuleType | None = None,  # noqa: ARG002
    ) -> ModuleSpec | None:
        package = _package_of(fullname)
        if package is None or not package.holds(fullname):
            return None
        module = fullname.removeprefix(f"{package.name}.")
        file = file_beside(package.folder, module)
        if file is not None:
            return importlib.util.spec_from_file_location(
                fullname, file, loader=_Loader(fullname, str(file), package)
            )
        below = package.folder.joinpath(*module.split("."))
        if not any(_python_files(below)):
            return None
        spec = ModuleSpec(fullname, None, is_package=True)
        spec.submodule_search_locations = [str(below)]
        return spec


class _Loader(SourceFileLoader):
    """Runs a file as it is now: bytecode that was kept may be older than a quick edit."""

    def __init__(self, fullname: str, path: str, package: _Package) -> None:
        super().__init__(fullname, path)
        self._package = package

    def get_code(self, fullname: str) -> CodeType:
        path = Path(self.get_filename(fullname))
        content = path.read_bytes()
        self._package.sources[fullname] = (path, _hash(content))
        return self.source_to_code(content, str(path))

    def exec_module(self, module: ModuleType) -> None:
        # Functions look `__import__` up where their module was given its builtins, so imports
        # within them know their neighbours too, whenever they run.
        names = {**vars(builtins), "__import__": _importer(self._package)}
        module.__dict__["__builtins__"] = names
        super().exec_module(module)


def _importer(package: _Package) -> Callable[..., ModuleType]:
    """`__import__` for the modules of a package: plain names of neighbours mean these."""

    def import_(
        name: str,
        globals: Any = None,  # noqa: A002 -- the names that `__import__` has
        locals: Any = None,  # noqa: A002
        fromlist: Sequence[str] | None = (),
        level: int = 0,
    ) -> ModuleType:
        top = name.partition(".")[0]
        if level == 0 and _is_beside(package.folder, top):
            found = builtins.__import__(f"{package.name}.{name}", globals, locals, fromlist or ())
            result = found if fromlist else sys.modules[f"{package.name}.{top}"]
        else:
            result = builtins.__import__(name, globals, locals, fromlist or (), level)
        importing = str((globals or {}).get("__name__", ""))
        package.imports.setdefault(importing, set()).update(
            _imported(package, result, name, fromlist)
        )
        return result

    return import_


def _imported(
    package: _Package, result: ModuleType, name: str, fromlist: Sequence[str] | None
) -> Iterator[str]:
    """The modules of the package that one import statement named."""
    if result.__name__ != package.name and not package.holds(result.__name__):
        return
    yield result.__name__
    rest = name.partition(".")[2]
    wanted = fromlist or ([rest] if rest else [])
    yield from (
        full for full in (f"{result.__name__}.{part}" for part in wanted) if full in sys.modules
    )


def _is_beside(folder: Path, name: str) -> bool:
    return file_beside(folder, name) is not None or any(_python_files(folder / name))


def _python_files(folder: Path) -> Iterator[Path]:
    """The Python files below a folder, hidden ones and `__pycache__` left out."""
    if not folder.is_dir():
        return
    for entry in sorted(folder.iterdir()):
        if entry.name.startswith(".") or entry.name == "__pycache__":
            continue
        if entry.is_dir():
            yield from _python_files(entry)
        elif entry.suffix == ".py":
            yield entry


def _hash(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()
