"""Functions as they were in a git revision: told from their text alone, and never run.

Called by `changes.before`. To plan a revision it is lent the modules of the working tree; whatever
is made by one whose text was another one then gets another fingerprint.
"""

import ast
import hashlib
import shutil
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, fields, is_dataclass, replace
from pathlib import Path
from typing import Any

from data_platform.plan.functions import UserFunction
from data_platform.plan.nodes import AnyNode, PythonNode
from data_platform.revisions import Revision
from data_platform.spec.handwritten import ASSETS_FILE


@dataclass(frozen=True)
class Texts:
    """The Python beside a pipeline, then and now.

    Attributes:
        before: text by module; of `assets.py` too.
        after: the same of the working tree.
    """

    before: Mapping[str, str]
    after: Mapping[str, str]

    def changed(self, module: str) -> bool:
        """Whether a module, or one beside it that it imports, has another text."""
        seen, waiting = set[str](), [module]
        while waiting:
            name = waiting.pop()
            if name in seen or name not in self.after:
                continue
            seen.add(name)
            if self.before.get(name) != self.after[name]:
                return True
            waiting += _imports(self.after[name], self.after)
        return False

    def fingerprint(self) -> str:
        """Of what was."""
        text = "".join(f"{name}{text}" for name, text in sorted(self.before.items()))
        return hashlib.sha256(text.encode()).hexdigest()[:12]


def lend_modules(old: Revision, new: Revision) -> None:
    """Put modules of the working tree beside the pipelines of a revision, whose own aren't run."""
    folders = {file.parent.name: file.parent for file in new.files}
    for file in old.files:
        beside = folders.get(file.parent.name)
        for module in beside.glob("*.py") if beside and old.laid_down else ():
            if module.name != ASSETS_FILE and not file.with_name(module.name).exists():
                shutil.copyfile(module, file.with_name(module.name))


def texts_of(old: Revision, new: Revision) -> dict[str, Texts]:
    """The Python beside each pipeline that has another one now, by the folder's name."""
    folders = {file.parent.name: file.parent for file in new.files}
    found: dict[str, Texts] = {}
    for file in old.files:
        name = file.parent.name
        if name in folders and old.laid_down:
            texts = Texts(_read(file.parent, ".py.txt"), _read(folders[name], ".py"))
            if texts.before != texts.after:
                found[name] = texts
    return found


def as_it_was(node: AnyNode, texts: Texts | None) -> AnyNode:
    """A node with the code that it had, as far as that isn't what it has."""
    if texts is None:
        return node
    if not isinstance(node, PythonNode):
        return _with_fingerprints(node, texts)
    module = Path(ASSETS_FILE).stem
    if module not in texts.before:
        return node
    name = node.function.rpartition(".")[2]
    before, after = (dict(_functions(each.get(module, ""))) for each in (texts.before, texts.after))
    if before.get(name) != after.get(name) or before.get("") != after.get(""):
        return replace(node, source=before.get(name) or before.get("", ""))
    if any(texts.changed(one) for one in _imports(texts.after.get(module, ""), texts.after)):
        return replace(node, source=f"{node.source}\n# imports {texts.fingerprint()}")
    return node


def _with_fingerprints(value: Any, texts: Texts) -> Any:
    """A node, or a part of it, whose functions are what they were."""
    match value:
        case UserFunction():
            module = value.written.partition(":")[0]
            own = value.folder is not None and texts.changed(module)
            return replace(value, fingerprint=texts.fingerprint()) if own else value
        case tuple():
            parts = tuple(_with_fingerprints(one, texts) for one in value)
            return value if hasattr(value, "_fields") else parts
        case _ if is_dataclass(value) and not isinstance(value, type):
            parts = {
                one.name: other
                for one in fields(value)
                if one.init
                and (other := _with_fingerprints(own := getattr(value, one.name), texts)) is not own
                and other != own
            }
            return replace(value, **parts) if parts else value
        case _:
            return value


def _read(folder: Path, ending: str) -> dict[str, str]:
    files = (file for file in sorted(folder.iterdir()) if file.name.endswith(ending))
    return {
        file.name.removesuffix(ending): file.read_text(encoding="utf-8", errors="replace")
        for file in files
    }


def _imports(text: str, known: Mapping[str, str]) -> list[str]:
    """The modules beside it that a module names in its imports."""
    try:
        tree = ast.parse(text)
    except SyntaxError:
        return []
    names = set[str]()
    for statement in ast.walk(tree):
        if isinstance(statement, ast.Import):
            names |= {alias.name.partition(".")[0] for alias in statement.names}
        elif isinstance(statement, ast.ImportFrom):
            # `from . import parse` names modules, `from .parse import price` what is in one.
            names.add((statement.module or "").partition(".")[0])
            names |= {alias.name for alias in statement.names} if not statement.module else set()
    return sorted(names & known.keys())


def _functions(text: str) -> Iterator[tuple[str, str]]:
    """The source of each function of a module, and below "" all else of it."""
    try:
        tree = ast.parse(text)
    except SyntaxError:
        return
    rest: list[str] = []
    for statement in tree.body:
        if isinstance(statement, ast.FunctionDef | ast.AsyncFunctionDef):
            yield statement.name, ast.get_source_segment(text, statement) or ""
        else:
            rest.append(ast.unparse(statement))
    yield "", "\n".join(rest)
