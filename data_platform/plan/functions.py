"""Functions that a pipeline names as `module:function`: looked up once, found again anywhere.

Called by `plan` for the source, the step and the rule `python`, and for `on_finish`; the engine and
worker processes call `UserFunction.load`. A module beside the pipeline goes before an installed one
of its name.
"""

import difflib
import importlib
import inspect
import sys
import typing
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from pathlib import Path
from types import ModuleType
from typing import Any, Literal
from zoneinfo import ZoneInfo

from data_platform.beside import (
    error_words,
    file_beside,
    fingerprint_of,
    import_beside,
    modules_beside,
)
from data_platform.errors import ConfigurationError, Location, Problem
from data_platform.plan.partitions import Partitions
from data_platform.spec.parameters import ParameterValue

Role = Literal["source", "transformation", "rule", "finish"]
PARTITION_PARAMETER = "partition"
"""A parameter of this name gets the partition."""
_GIVEN: Mapping[Role, int] = {
    "source": 0,
    "transformation": 1,
    "rule": 1,
    "finish": 1,
}
"""Arguments that a function gets besides the partition."""


@dataclass(frozen=True)
class Partition:
    """What a function learns of the partition that it is called for.

    Attributes:
        key: Dagster's.
        start: its begin, in the partitions' zone; None where they aren't of time.
        end: its end, which doesn't belong to it any more.
        values: of the dimensions of named values, by their names.
    """

    key: str
    start: datetime | None
    end: datetime | None
    values: Mapping[str, str] = field(default_factory=dict[str, str], hash=False)


@dataclass(frozen=True)
class UserFunction:
    """A person's function.

    Attributes:
        written: as `module:function`.
        fingerprint: of its source, and of what it imports beside the pipeline.
        takes_partition: whether it has a parameter `partition`.
        takes_arrow: whether it says by an annotation that it takes a `pyarrow.Table`.
        pipeline: that names it.
        folder: the pipeline's, where the module stands beside it; None where it is installed.
        partitions: of the asset; None where it has none.
        place: where it is defined, as `file:line`.
        takes: parameters of the asset, and dimensions of its partitions, that it has parameters
            for.
        values: of those.
        discreet: whether what it says may name a person, so that its words are left out.
    """

    written: str
    fingerprint: str
    takes_partition: bool
    takes_arrow: bool
    pipeline: str = field(repr=False)
    folder: Path | None = field(repr=False)
    partitions: Partitions | None = field(repr=False)
    place: str = field(repr=False)
    takes: tuple[str, ...] = field(default=(), repr=False)
    values: Mapping[str, ParameterValue] = field(
        default_factory=dict[str, ParameterValue], repr=False
    )
    discreet: bool = field(default=False, repr=False)

    def load(self) -> Callable[..., Any]:
        """The function itself, imported where that hasn't happened yet."""
        module, _, name = self.written.partition(":")
        if self.folder is not None:
            found = import_beside(self.folder, self.pipeline, module)
        else:
            found = importlib.import_module(module)
        return _attribute(found, name)

    def given(self, values: Mapping[str, ParameterValue]) -> "UserFunction":
        """The function with the values of a run, as far as it takes them."""
        taken = {name: values[name] for name in self.takes if name in values}
        return replace(self, values={**self.values, **taken}) if taken else self

    def named_arguments(self, key: str) -> dict[str, Any]:
        """What it gets besides the rows, for a partition."""
        partition = {PARTITION_PARAMETER: self._partition(key)} if self.takes_partition else {}
        named = self.partitions.named_values(key) if self.partitions else {}
        return {**partition, **{n: named[n] for n in self.takes if n in named}, **self.values}

    def _partition(self, key: str) -> Partition | None:
        if self.partitions is None:
            return None
        start = end = None
        if self.partitions.time is not None:
            zone = ZoneInfo(self.partitions.timezone)
            start, end = (moment.astimezone(zone) for moment in self.partitions.window(key))
        return Partition(key, start, end, self.partitions.named_values(key))


def find_function(
    written: str,
    role: Role,
    folder: Path,
    pipeline: str,
    at: Location,
    partitions: Partitions | None,
    parameters: Sequence[str] = (),
) -> UserFunction:
    """Look a function up.

    Args:
        written: as `module:function`.
        role: what it is for, which tells what it gets.
        folder: of the pipeline.
        pipeline: its name.
        at: where it is named.
        partitions: of the asset, one of which it may be given.
        parameters: of the asset, which it may be given.

    Raises:
        ConfigurationError: it can't be imported, or can't be called as its role asks.
    """
    name, _, attribute = written.partition(":")
    module = _module(name, folder, pipeline, at)
    beside = file_beside(folder, name) is not None
    try:
        function = _attribute(module, attribute)
    except AttributeError:
        raise _refused(at, _no_function(module, name, attribute)) from None
    known = [*parameters, *(one.name for one in (partitions.by if partitions else ()))]
    taken = _parameters(function, written, role, at, known, partitioned=partitions is not None)
    return UserFunction(
        written,
        fingerprint_of(module)[:12],
        PARTITION_PARAMETER in taken,
        _takes_arrow(function),
        pipeline,
        folder.absolute() if beside else None,
        partitions,
        _place(function, folder),
        tuple(name for name in taken if name != PARTITION_PARAMETER),
    )


def _module(name: str, folder: Path, pipeline: str, at: Location) -> ModuleType:
    if file_beside(folder, name) is not None:
        try:
            return import_beside(folder, pipeline, name)
        except ConfigurationError as error:
            found = error.problems[0]
            place = str(found.location).replace(f"{folder.absolute()}/", "")
            message = f"module {name} can't be imported: {place}: {found.message}"
            raise _refused(at, message) from None
    if name.partition(".")[0] in sys.stdlib_module_names:
        message = f"module {name} is a part of Python itself: "
        raise _refused(at, f"{message}write a function beside the pipeline that calls it")
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        if not error.name or not f"{name}.".startswith(f"{error.name}."):
            raise _refused(at, f"module {name} can't be imported: {error_words(error)}") from None
        known = modules_beside(folder)
        near = difflib.get_close_matches(name, known, 1)
        hint = f"did you mean {near[0]}? There" if near else "there"
        beside = ", ".join(known) or "none"
        message = f"there is no module {name!r}, neither beside the pipeline nor installed; "
        raise _refused(at, f"{message}{hint} are beside it: {beside}") from None
    except (Exception, SystemExit) as error:  # noqa: BLE001 -- whatever running it raises
        raise _refused(at, f"module {name} can't be imported: {error_words(error)}") from None


def _attribute(module: ModuleType, name: str) -> Callable[..., Any]:
    found: Any = module
    for part in name.split("."):
        found = getattr(found, part)
    return found


def _no_function(module: ModuleType, name: str, attribute: str) -> str:
    own = [
        key
        for key, value in vars(module).items()
        if inspect.isfunction(value) and not key.startswith("_")
    ]
    near = difflib.get_close_matches(attribute, own, 1)
    hint = f"did you mean {near[0]}? It has" if near else "it has"
    return f"module {name} has no function {attribute!r}; {hint}: {', '.join(own) or 'none'}"


def _parameters(
    function: object,
    written: str,
    role: Role,
    at: Location,
    declared: Sequence[str],
    *,
    partitioned: bool,
) -> tuple[str, ...]:
    """What it takes by name; refuses what can't be called with what its role gives."""
    if not callable(function):
        raise _refused(at, f"{written} is {type(function).__name__}, not a function")
    if inspect.iscoroutinefunction(function) or inspect.isasyncgenfunction(function):
        raise _refused(at, f"{written} is async: a plain function is needed")
    try:
        signature = inspect.signature(function)
    except (TypeError, ValueError):
        raise _refused(at, f"{written} doesn't tell its parameters: wrap it into a def") from None
    partition = signature.parameters.get(PARTITION_PARAMETER)
    taken = _by_name(signature, role, declared)
    try:
        signature.bind(*([object()] * _GIVEN[role]), **dict.fromkeys(taken))
    except TypeError as error:
        message = f"{written}{signature} can't be called: {error}; {_wanted(role, declared)}"
        raise _refused(at, f"{message}{_misspelled(signature, role, declared)}") from None
    if partition is not None and not partitioned and partition.default is partition.empty:
        message = f"{written} needs a partition, but the asset has none: give it a default of None"
        raise _refused(at, message)
    return taken


def _by_name(signature: inspect.Signature, role: Role, declared: Sequence[str]) -> tuple[str, ...]:
    """The parameters behind the rows that are called like something it may be given."""
    names = list(signature.parameters)[_GIVEN[role] :]
    known = {PARTITION_PARAMETER, *declared}
    # `partition` is told apart anywhere: a function that has it as its first one lacks the rows.
    first = [PARTITION_PARAMETER] if PARTITION_PARAMETER in list(signature.parameters) else []
    return tuple(dict.fromkeys([*first, *(name for name in names if name in known)]))


def _wanted(role: Role, declared: Sequence[str]) -> str:
    """What a function of a role takes, in words."""
    parameters = f", and the asset's parameters {', '.join(declared)}" if declared else ""
    if role == "source":
        return f"a source takes (partition) or no parameters{parameters}"
    if role == "finish":
        return "a function of on_finish takes (facts), a data_platform.endings.facts.RunFacts"
    return f"a {role} takes (rows), and `partition` if it likes{parameters}"


def _misspelled(signature: inspect.Signature, role: Role, declared: Sequence[str]) -> str:
    """The declared parameter that one without a value may mean."""
    for name, parameter in list(signature.parameters.items())[_GIVEN[role] :]:
        needed = parameter.default is parameter.empty and name not in declared
        near = difflib.get_close_matches(name, declared, 1) if needed else []
        if near:
            return f"; did you mean {near[0]} by {name}?"
    return ""


def _takes_arrow(function: Callable[..., Any]) -> bool:
    """Whether its first parameter is annotated as something of pyarrow."""
    parameters = list(inspect.signature(function).parameters.values())
    annotation = parameters[0].annotation if parameters else None
    if isinstance(annotation, str):
        try:
            annotation = typing.get_type_hints(function).get(parameters[0].name, annotation)
        except Exception:  # noqa: BLE001 -- a hint that names nothing is still a text
            return annotation.split(".")[0] in {"pa", "pyarrow"}
    return getattr(annotation, "__module__", "").partition(".")[0] == "pyarrow"


def _place(function: Callable[..., Any], folder: Path) -> str:
    code = getattr(inspect.unwrap(function), "__code__", None)
    if code is None:
        return ""
    file = Path(code.co_filename)
    shown = (
        file.relative_to(folder.parent.absolute()) if folder.absolute() in file.parents else file
    )
    return f"{shown}:{code.co_firstlineno}"


def _refused(at: Location, message: str) -> ConfigurationError:
    return ConfigurationError([Problem(at, message)])
