"""Values in place of the references in texts; `$${` is a literal `${`.

`spec.reading` expands a whole pipeline when it is read. Texts of `platform.yaml`, and those of a
source that may be secret, stay references: whoever connects calls `secrets.stores.expand`. Only
these may name files and secrets, whose content must not get into definitions. The environment, and
who asks the stores of secrets, come in as arguments.
"""

import re
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, TypeVar, assert_never, cast

from pydantic import BaseModel

from data_platform.errors import Location, Problem
from data_platform.spec.document import Document
from data_platform.spec.references import (
    PATTERN,
    Reference,
    VariableError,
    parsed,
    references,
    referred,
)
from data_platform.spec.wording import hint, show
from data_platform.spec.yaml_tree import Child, Node

REFERENCES = frozenset({"auth", "headers", "params", "body"})
"""Keys of a source whose texts stay references until a run needs them."""
_SOURCE_DEPTH = 2
"""`sources`, then its name."""
_LARGEST_FILE = 65_536
"""Bytes: a secret is short, and a device or a log isn't one."""

Ask = Callable[[Reference], str]
"""Gives the value of a secret that a store of them keeps."""
Tell = Callable[[Reference, str], None]
"""Is told each value that is put in the place of a reference."""


def nobody(reference: Reference) -> str:
    """Where no store may be asked."""
    raise VariableError(f"{reference} can't be asked for here")


def untold(reference: Reference, value: str) -> None:
    """Where nobody has to know."""


def expand(text: str, environ: Mapping[str, str], ask: Ask = nobody, tell: Tell = untold) -> str:
    """The text with its variables' values.

    As in a shell, a default counts where the variable is unset or empty, and a variable that is set
    but empty is an empty text.

    Args:
        text: with references.
        environ: of variables.
        ask: for secrets of a store.
        tell: of each value.

    Raises:
        VariableError: with what is missing. Its text holds no variable's value.
    """
    if "${" not in text:
        return text

    def value_of(match: re.Match[str]) -> str:
        if match["literal"]:
            return match[0][1:]
        reference = parsed(match)
        value = _value(reference, environ, ask)
        tell(reference, value)
        return value

    return PATTERN.sub(value_of, text)


ModelT = TypeVar("ModelT", bound=BaseModel)


def expand_model(
    model: ModelT, environ: Mapping[str, str], ask: Ask = nobody, tell: Tell = untold
) -> ModelT:
    """A model with the values in all its texts, also of those below it.

    Raises:
        VariableError: with what is missing. Its text holds no variable's value.
    """
    return expand_texts(model, lambda text: expand(text, environ, ask, tell))


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
    for _ in referred(text):
        pass


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


def _value(reference: Reference, environ: Mapping[str, str], ask: Ask) -> str:
    match reference.kind:
        case "file":
            return _content(Path(reference.name))
        case "aws-secret" | "vault":
            return ask(reference)
        case "variable":
            return _variable(reference, environ)
        case _:
            assert_never(reference.kind)


def _variable(reference: Reference, environ: Mapping[str, str]) -> str:
    name, value = reference.name, environ.get(reference.name)
    if reference.default is not None:
        return value or reference.default
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


def _refuse_outside(text: str) -> None:
    """Refuse files and secrets where a text is read with the definitions."""
    for reference in referred(text):
        if reference.is_outside:
            kept = ", ".join(sorted(REFERENCES))
            what = "file" if reference.kind == "file" else "secret"
            raise VariableError(
                f"{show(str(reference))} can't stand here, where texts are read with the "
                f"definitions: a {what} may be named in platform.yaml, and in {kept} of a source"
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
            _refuse_outside(text)
            return expand(text, self._environ)
        except VariableError as error:
            location = Location(self._path, child.line, child.column)
            self.problems.append(Problem(location, str(error)))
            return text
