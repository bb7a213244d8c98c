"""What a change is compared with: the plan of a git revision, as far as it can be made.

Called by the command's `plan`. Nothing of a revision is run: functions are those of the working
tree, and whose text is another one is told from the text alone.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, is_dataclass, replace
from pathlib import Path
from typing import Any, TypeVar

from data_platform.changes.functions import as_it_was, lend_modules, texts_of
from data_platform.contract_diff import Compared, compare_revisions
from data_platform.errors import Problem
from data_platform.loading import Loaded
from data_platform.plan.building import build_plan
from data_platform.plan.nodes import Node, RawNode
from data_platform.plan.pipelines import Plan
from data_platform.plan.schemas import Schema
from data_platform.revisions import Revision, two_revisions
from data_platform.spec.reading import read_workspace

Made = TypeVar("Made", bound=Node)


@dataclass(frozen=True)
class Before:
    """What was.

    Attributes:
        label: what a person calls it.
        plan: of the revision.
        contracts: how its contracts and those of the working tree compare.
        broken: pipelines of it that can't be planned.
        problems: why.
    """

    label: str
    plan: Plan
    contracts: Compared
    broken: frozenset[str]
    problems: tuple[Problem, ...]


def before_of(
    reference: str,
    loaded: Loaded,
    pipelines_dirs: Sequence[Path],
    home: Path,
    environ: Mapping[str, str],
    scratch: Path,
) -> Before:
    """The plan of a git revision.

    Args:
        reference: of git.
        loaded: the working tree.
        pipelines_dirs: where its pipelines are.
        home: where relative paths of the pipelines that ship start.
        environ: what `${VAR}` refers to.
        scratch: where files of the revision are laid down.

    Raises:
        PermanentError: git knows no such reference.
    """
    old, new = two_revisions(reference, None, pipelines_dirs, scratch)
    contracts = compare_revisions(old, new, environ, home, lambda: loaded)
    lend_modules(old, new)
    workspace = read_workspace(old.folders, environ, home)
    handwritten = {name: file.assets for name, file in loaded.assets_files.items()}
    moved = _moved(old, new)
    built = build_plan(
        workspace, lambda node: _columns_now(_in_place(node, moved), loaded.plan), handwritten
    )
    plan = _with_texts(built.plan, old, new, moved)
    broken = {one.name for one in workspace.broken} | set(built.broken)
    problems = tuple(p for p in (*workspace.problems, *built.problems) if not p.warning)
    return Before(reference, plan, contracts, frozenset(broken), problems)


def _moved(old: Revision, new: Revision) -> tuple[str, str] | None:
    """The folder that the revision is laid down in, and the one that it was taken from."""
    root = old.laid_down
    for file in old.files if root else ():
        inside = str(file.relative_to(root)) if root else ""
        for one in new.files:
            if str(one).endswith(f"/{inside}"):
                return f"{root}/", str(one).removesuffix(inside)
    return None


def _in_place(node: Made, moved: tuple[str, str] | None) -> Made:
    """A node whose files are where those of the working tree are."""
    about = "source" if isinstance(node, RawNode) else "target"
    outside: Any = getattr(node, about, None)
    path = getattr(outside, "path", None)
    if (
        moved is None
        or not isinstance(path, str)
        or not is_dataclass(outside)
        or isinstance(outside, type)
    ):
        return node
    there = path.replace(*moved, 1) if path.startswith(moved[0]) else path
    return replace(node, **{about: replace(outside, path=there)})


def _columns_now(node: RawNode, plan: Plan) -> Schema | None:
    """The columns of a source as the working tree knows them, where it is the same source."""
    now = plan.get(node.key)
    return now.schema if isinstance(now, RawNode) and now.source == node.source else None


def _with_texts(plan: Plan, old: Revision, new: Revision, moved: tuple[str, str] | None) -> Plan:
    """The plan, with files where they are and functions as they were."""
    texts = texts_of(old, new)
    pipelines = [
        replace(
            one,
            nodes=tuple(
                as_it_was(_in_place(node, moved), texts.get(one.location.file.parent.name))
                for node in one.nodes
            ),
        )
        for one in plan.pipelines
    ]
    return Plan(tuple(pipelines))
