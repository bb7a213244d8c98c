"""`${VAR}`, `${VAR:-default}` and `${file:/a/path}` in texts; `$${` is a literal `${`.

`spec.reading` expands a whole pipeline when it is read. Texts of `platform.yaml`, and those of a
source that may be secret, stay references: whoever connects calls `expand`. Only these may name
files, whose content must not get into definitions. The environment comes in as an argument.
"""

import re
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, TypeVar, cast

from pydantic import BaseModel

from data_platform.errors import Location, PermanentError, Problem
from data_platform.spec.document import Document
from data_platform.spec.wording import hint, show
from data_platform.spec.yaml_tree import Child, Node

_VARIABLE = re.compile(r"\$(?P<literal>\$)?\{(?P<body>[^{}]*)(?P<end>\})?")
REFERENCES = frozenset({"auth", "headers", "params", "body"})
"""Keys of a source whose texts stay references until a run needs them."""
_SOURCE_DEPTH = 2
"""`sources`, then its name."""
_FILE = "file:"
_LARGEST_FILE = 65_536
"""Bytes: a secret is short, and a device or a log isn't one."""
_BODY = re.compile(r"(?P<name>[A-Za-z_][A-Za-z0-9_]*)(?P<default>:-.*)?", re.DOTALL)


class VariableError(PermanentError):
    """A text refers to a variable that isn't set, or not as it should."""


def expand(text: str, environ: Mapping[str, str]) -> str:
    """The text with its variables' values.

    As in a shell, a default counts where the variable is unset or empty, and a variable that is set
    but empty is an empty text.

    Raises:
        VariableError: with what is missing. Its text holds no variable's value.
    """
    if "${" not in text:
        return text
    return _VARIABLE.sub(lambda match: _value(match, environ), text)


def references(text: str) -> list[str]:
    """The references in a text, each as written: what stands for them may be secret."""
    return [match[0] for match in _VARIABLE.finditer(text) if not match["literal"]]


ModelT = TypeVar("ModelT", bound=BaseModel)


def expand_model(model: ModelT, environ: Mapping[str, str]) -> ModelT:
    """A model with the variables of all its texts, also of those below it.

    Raises:
        VariableError: with what is missing. Its text holds no variable's value.
    """
    return expand_texts(model, lambda text: expand(text, environ))


def expand_texts(model: ModelT, expanded: Callable[[str], str]) -> ModelT:
    """A model whose texts, also those below it, somebody else expands."""
    return model.__class__.model_validate(_mapped(model.model_dump(by_alias=True), expanded))


def _mapped(value: Any, expanded: Callable[[str], str]) -> Any:
    match value:
        case str():
            return expanded(value)
        case dict():
            entries = cast("dict[str, Any]", value)
            return {name: _mapped(below, expanded) for name, below in entries.items()}
        case list():
            return [_mapped(below, expanded) for below in cast("list[Any]", value)]
        case _:
            return value


def check_variables(text: str) -> None:
    """Refuse what is no right reference, whether set or not.

    Raises:
        VariableError: with what is wrong.
    """
    for match in _VARIABLE.finditer(text):
        if not match["literal"]:
            _parse(match)


def _parse(match: re.Match[str]) -> tuple[str, str | None]:
    """Name and default of a reference; of one to a file `file:` and its path."""
    if match["end"] and match["body"].startswith(_FILE):
        _require_path(match["body"])
        return match["body"], None
    body = _BODY.fullmatch(match["body"]) if match["end"] else None
    if body is None:
        raise VariableError(
            f"{show(match[0])} is no variable: ${{NAME}}, ${{NAME:-default}} or "
            "${file:/a/path}, and $${ for a literal ${"
        )
    return body["name"], body["default"][2:] if body["default"] else None


def _require_path(body: str) -> None:
    path = body.removeprefix(_FILE)
    if not Path(path).is_absolute() or "\0" in path:
        raise VariableError(
            f"{show(f'${{{body}}}')} names no file: the path must be absolute, such as "
            "${file:/run/secrets/token}"
        )


def _content(path: Path) -> str:
    """A file's text, less one line break at its end."""
    try:
        with path.open("rb") as file:
            content = file.read(_LARGEST_FILE + 1)
    except OSError as error:
        raise VariableError(f"the file {path} can't be read: {error.strerror}") from None
    try:
        text = content.decode() if len(content) <= _LARGEST_FILE else None
    except UnicodeDecodeError:
        text = None
    if text is None:
        raise VariableError(f"the file {path} is no text of at most {_LARGEST_FILE:,} bytes")
    return text.removesuffix("\n").removesuffix("\r") if text.endswith("\n") else text


def _value(match: re.Match[str], environ: Mapping[str, str]) -> str:
    if match["literal"]:
        return match[0][1:]
    name, default = _parse(match)
    if name.startswith(_FILE):
        return _content(Path(name.removeprefix(_FILE)))
    value = environ.get(name)
    if default is not None:
        return value or default
    if value is None:
        guess = hint(name, environ)
        raise VariableError(
            f"the variable {name} is not set{f'{guess} Set' if guess else '; set'} it, "
            f"or give a default: ${{{name}:-...}}"
        )
    return value


def expand_document(
    document: Document, environ: Mapping[str, str]
) -> tuple[dict[str, Any], tuple[Problem, ...]]:
    """A file's content with the variables of all its texts, keys left as they are.

    Where a variable is unset the text stays as written, and a problem says so.
    """
    expander = _Expander(document.path, environ)
    root = expander.expanded(Child(document.root, 1, 1))
    return cast("dict[str, Any]", root), tuple(expander.problems)


def check_document(document: Document) -> tuple[Problem, ...]:
    """Problems of references whose variables are looked up later."""
    return tuple(_wrong_references(document.path, document.root))


def _wrong_references(path: Path, node: Node) -> Iterator[Problem]:
    for child in node.children.values():
        if isinstance(child.node.value, str):
            try:
                check_variables(child.node.value)
            except VariableError as error:
                yield Problem(Location(path, child.line, child.column), str(error))
        yield from _wrong_references(path, child.node)


def _is_reference(way: tuple[str | int, ...], name: str | int) -> bool:
    """Whether the texts below are looked up by a run: those of a source that may be secret."""
    return len(way) == _SOURCE_DEPTH and way[0] == "sources" and name in REFERENCES


def _refuse_files(text: str) -> None:
    """Refuse files where a text is read with the definitions."""
    for reference in references(text):
        if reference.startswith(f"${{{_FILE}"):
            kept = ", ".join(sorted(REFERENCES))
            raise VariableError(
                f"{show(reference)} can't stand here, where texts are read with the definitions: "
                f"a file may be named in platform.yaml, and in {kept} of a source"
            )


def _is_sql(way: tuple[str | int, ...]) -> bool:
    """Whether the text at the end of a way is SQL of an asset's; a source's is its database's."""
    return (
        bool(way)
        and way[0] != "sources"
        and (
            way[-1] in {"query", "condition", "expression", "with_expression", "filter_rows"}
            or not {"add_columns", "aggregate"}.isdisjoint(way)
            or (way[-1] == "sql" and "quality" in way)
        )
    )


def _refuse_in_sql(text: str) -> None:
    """Refuse variables in SQL: they would be pasted into a statement that somebody looked at."""
    for reference in references(text):
        raise VariableError(
            f"{show(reference)} can't stand in SQL, where nothing is pasted: declare a value "
            "under `parameters` of the asset and name it as :name"
        )


class _Expander:
    """Walks a tree, and collects what is missing; what only a run may know is left as written."""

    def __init__(self, path: Path, environ: Mapping[str, str]) -> None:
        self.problems: list[Problem] = []
        self._path = path
        self._environ = environ

    def expanded(self, child: Child, way: tuple[str | int, ...] = ()) -> Any:
        node = child.node
        match node.value:
            case dict():
                return {
                    name: self._kept(below)
                    if _is_reference(way, name)
                    else self.expanded(below, (*way, name))
                    for name, below in node.children.items()
                }
            case list():
                return [self.expanded(below, (*way, 0)) for below in node.children.values()]
            case str():
                return self._text(child, node.value, way)
            case _:
                return node.value

    def _kept(self, child: Child) -> Any:
        self.problems += _wrong_references(self._path, Node(None, {0: child}))
        return child.node.value

    def _text(self, child: Child, text: str, way: tuple[str | int, ...]) -> str:
        try:
            if _is_sql(way):
                _refuse_in_sql(text)
            _refuse_files(text)
            return expand(text, self._environ)
        except VariableError as error:
            location = Location(self._path, child.line, child.column)
            self.problems.append(Problem(location, str(error)))
            return text
