"""A YAML text as a tree that knows where each key and item stands.

Called by `spec.document` only. Built from libyaml's events, one by one, so that depth, size and
aliases are bounded before anything grows. Scalars are those of YAML 1.2: `true` and `false`,
numbers, `null`; dates, `on` and `yes`, `1:30` and `007` are texts. Knows no model.
"""

import math
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from data_platform.errors import ConfigurationError, Location, Problem
from data_platform.spec.wording import kind_of, show
from data_platform.spec.yaml_errors import explain

MAX_DEPTH = 40
MAX_NODES = 100_000

_INT = re.compile(r"[-+]?(0|[1-9][0-9]*)|0x[0-9a-fA-F]+|0o[0-7]+")
_FLOAT = re.compile(r"[-+]?(\.[0-9]+|(0|[1-9][0-9]*)(\.[0-9]*)?)([eE][-+]?[0-9]+)?")
_BEGINS_NUMBER = frozenset("+-.0123456789")
_LONGEST_NUMBER = 40
_LONGEST_EXPRESSION = 1000
_WORDS = {
    **dict.fromkeys(("", "~", "null", "Null", "NULL")),
    **dict.fromkeys(("true", "True", "TRUE"), True),
    **dict.fromkeys(("false", "False", "FALSE"), False),
}
_CONTROL = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]")


@dataclass(frozen=True, slots=True)
class Node:
    """A value with what is below it.

    Attributes:
        value: None, bool, int, float, str, list or dict with text keys.
        children: below a mapping by key, below a list by index.
        size: the number of nodes, each alias counted as often as it is used.
    """

    value: Any
    children: Mapping[str | int, "Child"] = field(default_factory=lambda: _NOTHING)
    size: int = 1


_NOTHING: Mapping[str | int, "Child"] = {}
"""What is below a scalar."""


@dataclass(frozen=True, slots=True)
class Child:
    """A node and where its key, or the item itself, stands; from 1."""

    node: Node
    line: int
    column: int


@dataclass(frozen=True, slots=True)
class Tree:
    """What was read of a text; `problems` are mistakes around which reading could go on."""

    root: Node
    problems: tuple[Problem, ...]


def parse_tree(text: str, path: Path) -> Tree:
    """Read one document.

    Raises:
        ConfigurationError: where nothing can be read, with all that was wrong up to there.
    """
    builder = _Builder(path, text)
    try:
        return builder.document()
    except yaml.YAMLError as error:
        line, column, message = explain(error, text)
        builder.problems.append(Problem(Location(path, line, column), message))
        raise ConfigurationError(builder.problems) from None


def scalar(text: str) -> Any:
    """What a plain scalar means."""
    if text in _WORDS:
        return _WORDS[text]
    if text[0] in _BEGINS_NUMBER and len(text) <= _LONGEST_NUMBER:
        if _INT.fullmatch(text):
            return int(text, 0)
        if _FLOAT.fullmatch(text) and math.isfinite(number := float(text)):
            return number
    return text


class _Builder:
    """Turns events into nodes and collects problems on the way."""

    def __init__(self, path: Path, text: str) -> None:
        self.problems: list[Problem] = []
        self._path = path
        self._next_event: Callable[[], Any] = yaml.CSafeLoader(text).get_event
        self._anchors: dict[str, Node] = {}
        self._count = 0
        self._split_at: Any = None

    def document(self) -> Tree:
        self._next_event()
        if isinstance(start := self._next_event(), yaml.StreamEndEvent):
            raise self._fatal(start, "the file is empty; see the reference for what goes in")
        event = self._next_event()
        root = self._node(event, 1)
        self._next_event()
        if not isinstance(second := self._next_event(), yaml.StreamEndEvent):
            raise self._fatal(second, "a second document starts here; a file holds one")
        if not isinstance(root.value, dict):
            found = kind_of(root.value)
            raise self._fatal(event, f"a file holds a mapping (`key: value` lines); found {found}")
        return Tree(root, tuple(self.problems))

    def _fatal(self, event: Any, message: str) -> ConfigurationError:
        self._report(event, message)
        return ConfigurationError(self.problems)

    def _report(self, event: Any, message: str) -> None:
        line, column = _position(event)
        self.problems.append(Problem(Location(self._path, line, column), message))

    def _node(self, event: Any, depth: int) -> Node:
        if depth > MAX_DEPTH:
            raise self._fatal(event, f"nested more than {MAX_DEPTH} levels deep")
        match event:
            case yaml.AliasEvent():
                return self._alias(event)
            case yaml.MappingStartEvent():
                node = self._mapping(event, depth)
            case yaml.SequenceStartEvent():
                node = self._sequence(event, depth)
            case _:
                node = self._scalar(event)
        self._counted(event, 1)
        self._refuse_tag(event)
        if event.anchor is not None:
            self._anchors[event.anchor] = node
        return node

    def _alias(self, event: Any) -> Node:
        node = self._anchors.get(event.anchor)
        if node is None:
            name = show(f"*{event.anchor}")
            raise self._fatal(event, f"no anchor before the alias {name}; a text needs quotes")
        self._counted(event, node.size)
        return node

    def _counted(self, event: Any, nodes: int) -> None:
        self._count += nodes
        if self._count > MAX_NODES:
            raise self._fatal(event, f"more than {MAX_NODES:,} values, aliases counted each time")

    def _refuse_tag(self, event: Any) -> None:
        if event.tag is not None:
            advice = "" if event.tag[1:].isalnum() else ": put the text in quotes"
            message = f"tags such as {show(event.tag)} are not part of the language{advice}"
            self._report(event, message)

    def _scalar(self, event: Any) -> Node:
        text: str = event.value
        if _CONTROL.search(text):
            self._report(event, "a control character in a text")
            return Node("")
        return Node(scalar(text) if event.implicit[0] else text)

    def _sequence(self, start: Any, depth: int) -> Node:
        children: dict[str | int, Child] = {}
        size = 1
        split: str | int | None = None
        while not isinstance(event := self._next_event(), yaml.SequenceEndEvent):
            node = self._node(event, depth + 1)
            size += node.size
            if split is not None and _is_plain(event):
                split = self._join(children, split, event.value)
                continue
            index = len(children)
            children[index] = Child(node, *_position(event))
            split = index if self._is_split(start, event, event) else None
        return Node([child.node.value for child in children.values()], children, size)

    def _mapping(self, start: Any, depth: int) -> Node:
        children: dict[str | int, Child] = {}
        merged: list[Node] = []
        size = 1
        split: str | int | None = None
        while not isinstance(event := self._next_event(), yaml.MappingEndEvent):
            key = self._node(event, depth + 1)
            node = self._node(value_event := self._next_event(), depth + 1)
            size += key.size + node.size
            if split is not None and _is_plain(event) and node.value is None:
                split = self._join(children, split, event.value)
            elif _is_plain(event) and key.value == "<<":
                merged += self._merged(event, node)
            elif self._is_new(event, key, children):
                children[key.value] = Child(node, *_position(event))
                split = key.value if self._is_split(start, event, value_event) else None
        for node in merged:
            for name, child in node.children.items():
                children.setdefault(name, child)
        return Node({name: child.node.value for name, child in children.items()}, children, size)

    def _is_new(self, event: Any, key: Node, children: Mapping[str | int, Child]) -> bool:
        if not isinstance(key.value, str):
            self._report(event, f"a key is a text; found {show(key.value)}: put it in quotes")
            return False
        if (first := children.get(key.value)) is not None:
            lines = f"{first.line} and {_position(event)[0]}"
            self._report(event, f"duplicate key {show(key.value)}: it stands in lines {lines}")
            return False
        return True

    def _merged(self, event: Any, node: Node) -> list[Node]:
        """The mappings that `<<` takes over; keys of the mapping itself go first."""
        items = [child.node for child in node.children.values()]
        nodes = items if isinstance(node.value, list) else [node]
        if all(isinstance(item.value, dict) for item in nodes):
            return nodes
        self._report(event, "`<<` takes over mappings: `<<: *anchor` or `<<: [*one, *other]`")
        return []

    def _is_split(self, start: Any, event: Any, value: Any) -> bool:
        """Whether YAML may have broken an expression at its comma: `{x: concat(a, b)}`."""
        if not (start.flow_style and _is_plain(value) and _is_open(value.value)):
            return False
        self._split_at = event
        return True

    def _join(
        self, children: dict[str | int, Child], key: str | int, rest: str
    ) -> str | int | None:
        """Put a broken expression together again, so that it gives no further problems."""
        first = children[key]
        text: str = first.node.value
        if self._split_at is not None:
            where = f"inside {{ }} and [ ] YAML splits it at the comma after {show(text)}"
            self._report(self._split_at, f"quote the expression: {where}")
            self._split_at = None
        joined = f"{text}, {rest}"
        children[key] = Child(Node(joined), first.line, first.column)
        return key if _is_open(joined) and len(joined) < _LONGEST_EXPRESSION else None


def _position(event: Any) -> tuple[int, int]:
    mark = event.start_mark
    return mark.line + 1, mark.column + 1


def _is_plain(event: Any) -> bool:
    return isinstance(event, yaml.ScalarEvent) and bool(event.implicit[0])


def _is_open(text: str) -> bool:
    return text.count("(") > text.count(")")
