"""Whether a node that an earlier process compiled still holds.

Called by `plan.building` for each asset. A node is taken again where all that it was made of is the
same: the file that declares it, its SQL, platform.yaml, the platform itself, and what it asked
about other assets, down to the columns of the sources. Sources themselves are resolved each time,
since that is how their columns are known; so is whatever has a function of a person's in it, or
reads the asset of one.
"""

from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import replace
from typing import Any

from data_platform.errors import Location
from data_platform.plan.declared import Declared
from data_platform.plan.kept import Asked, Entry, KeptNodes, KeptPipeline, digest_of, packed
from data_platform.plan.keys import Key
from data_platform.plan.nodes import AnyNode, LakeNode, RawNode
from data_platform.spec.destinations import DestinationAsset
from data_platform.spec.pipeline import AnalyticsAsset, StagingAsset
from data_platform.spec.reading import Workspace

Compile = Callable[[Declared[Any]], AnyNode]


class Keeping:
    """The nodes of one plan, those of earlier processes among them.

    Args:
        workspace: what was read.
        kept: by earlier processes; None compiles all.
    """

    def __init__(self, workspace: Workspace, kept: KeptNodes | None) -> None:
        platform = None if workspace.platform_problems else workspace.platform
        self._pipelines: dict[str, KeptPipeline] = {}
        if kept is not None:
            for file in workspace.pipelines:
                self._pipelines[file.spec.pipeline] = kept.pipeline(file, platform)
        self._made_of: dict[Key, str | None] = {}
        """A digest of all that a node was made of; None where nothing tells it."""

    def node(self, asset: Declared[Any], compile_: Compile) -> AnyNode:
        """The node of an asset.

        Raises:
            ConfigurationError: what is wrong with it.
        """
        pipeline = self._pipelines.get(asset.key.pipeline)
        if pipeline is None:
            return compile_(asset)
        if isinstance(asset.spec, StagingAsset | AnalyticsAsset | DestinationAsset):
            return self._kept_or_compiled(pipeline, asset, compile_)
        node = compile_(asset)
        if isinstance(node, RawNode):
            # Its columns come from outside, all else that matters to others from the file.
            columns = repr(node.schema)
            self._made_of[asset.key] = digest_of(pipeline.declared, str(asset.key), columns)
        return node

    def write(self, pipelines: Sequence[str]) -> None:
        """Keep the nodes of sound pipelines for the next process."""
        for name in pipelines:
            if name in self._pipelines:
                self._pipelines[name].write()

    def _kept_or_compiled(
        self, pipeline: KeptPipeline, asset: Declared[Any], compile_: Compile
    ) -> AnyNode:
        beside = _sql_beside(asset)
        declared = digest_of(pipeline.declared, str(asset.key), beside)
        entry = pipeline.find(asset.key, declared)
        node = entry.node() if entry and self._answered_alike(asset, entry) else None
        if entry is not None and node is not None:
            asset.parameters.use(entry.used)
        else:
            asked: dict[tuple[str, Key], bool] = {}
            node = compile_(_listening(asset, asked))
            # Somebody may have written to the file since.
            same = beside == _sql_beside(asset)
            entry = self._entry(asset, declared, asked, node) if same else None
        if entry is not None:
            pipeline.keep(asset.key, entry)
            below = (f"{one.made_of}" for one in entry.asked)
            self._made_of[asset.key] = digest_of(declared, *below)
        return node

    def _answered_alike(self, asset: Declared[Any], entry: Entry) -> bool:
        """Whether other assets are what they were; one that is wrong is told by compiling."""
        with suppress(Exception):
            return all(self._is_as_it_was(asset, asked) for asked in entry.asked)
        return False

    def _is_as_it_was(self, asset: Declared[Any], asked: Asked) -> bool:
        if asset.target(asked.reference, asset.at()) != asked.key:
            return False
        if asked.made_of is None:
            return True
        asset.upstream(asked.reference, asset.at(), None)
        return self._made_of.get(asked.key) == asked.made_of

    def _entry(
        self,
        asset: Declared[Any],
        declared: str,
        asked: dict[tuple[str, Key], bool],
        node: AnyNode,
    ) -> Entry | None:
        """What is kept of a node; None where not all that it was made of can be told."""
        answers: list[Asked] = []
        for (reference, key), looked_at in asked.items():
            made_of = self._made_of.get(key) if looked_at else None
            if looked_at and made_of is None:
                return None
            answers.append(Asked(reference, key, made_of))
        content = packed(node)
        if content is None:
            return None
        return Entry(declared, tuple(answers), tuple(sorted(asset.parameters.used)), content)


def _listening(asset: Declared[Any], asked: dict[tuple[str, Key], bool]) -> Declared[Any]:
    """The asset; what it asks about others is noted, and whether more than the name counts."""

    def upstream(reference: str, location: Location, layers: set[str] | None) -> LakeNode:
        node = asset.upstream(reference, location, layers)
        asked[reference, node.key] = True
        return node

    def target(reference: str, location: Location) -> Key:
        key = asset.target(reference, location)
        asked.setdefault((reference, key), False)
        return key

    return replace(asset, upstream=upstream, target=target)


def _sql_beside(asset: Declared[Any]) -> str:
    """The SQL that stands in a file of its own; whoever compiles tells what is wrong with it."""
    if isinstance(asset.spec, AnalyticsAsset) and asset.spec.sql is not None:
        with suppress(OSError, UnicodeDecodeError):
            return (asset.file.folder / asset.spec.sql).read_text(encoding="utf-8")
    return ""
