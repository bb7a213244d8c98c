"""From what people wrote to what will exist: every reference, partition and column resolved.

Called by `definitions` and the command. Finds all mistakes of all pipelines and builds what is
sound; a pipeline with a mistake is left out whole and never hides another.
"""

import functools
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from data_platform.errors import ConfigurationError, Location, Problem
from data_platform.plan.analytics import indented
from data_platform.plan.analytics_nodes import analytics_node
from data_platform.plan.automating import automation_mistake
from data_platform.plan.declared import Declared, SpecT_co, nearest, refused
from data_platform.plan.declared_parameters import parameter_problems, parameters_of
from data_platform.plan.destinations.nodes import destination_node
from data_platform.plan.destinations.places import same_places
from data_platform.plan.finishing import on_finish_of, unknown_channels
from data_platform.plan.functions import UserFunction
from data_platform.plan.keeping import Keeping
from data_platform.plan.kept import KeptNodes
from data_platform.plan.keys import Key
from data_platform.plan.lineage.masking import masked
from data_platform.plan.lineage.personal import Personal, followed
from data_platform.plan.lineage.personal_problems import Places, problems_of, warnings_of
from data_platform.plan.nodes import AnyNode, DestinationNode, LakeNode, RawNode
from data_platform.plan.parameters import RunParameters
from data_platform.plan.pipelines import PipelinePlan, Plan, Registration
from data_platform.plan.python_nodes import python_node
from data_platform.plan.registering import registrations_of
from data_platform.plan.sources.nodes import SourceColumns, raw_node
from data_platform.plan.staging.nodes import staging_node
from data_platform.spec.automation import Schedule
from data_platform.spec.destinations import (
    DatabaseDestination,
    FileDestination,
    RedshiftDestination,
)
from data_platform.spec.handwritten import Handwritten, HandwrittenAsset
from data_platform.spec.pipeline import AnalyticsAsset, StagingAsset
from data_platform.spec.reading import PipelineFile, Workspace
from data_platform.spec.sources import (
    ApiSource,
    DatabaseSource,
    FileSource,
    PythonSource,
    TopicSource,
)

SECTIONS = {
    "raw": "sources",
    "staging": "staging",
    "analytics": "analytics",
    "destinations": "destinations",
}
LAKE_LAYERS = ("raw", "staging", "analytics")


@dataclass(frozen=True)
class BuiltPlan:
    """The plan of the sound pipelines, and what is wrong with the others.

    Attributes:
        plan: what will exist.
        problems: of the plan itself, those of reading not included.
        broken: keys that are not in the plan, by pipeline: all that a pipeline with a problem
            declares, and of others those that can't be built without what has one.
    """

    plan: Plan
    problems: tuple[Problem, ...]
    broken: Mapping[str, tuple[Key, ...]]


def build_plan(
    workspace: Workspace,
    source_columns: SourceColumns | None = None,
    handwritten: Mapping[str, Sequence[Handwritten]] | None = None,
    kept: KeptNodes | None = None,
) -> BuiltPlan:
    """Resolve all pipelines of a workspace.

    Args:
        workspace: what was read.
        source_columns: tells the columns of a source where they can be known before a run.
        handwritten: the assets of each pipeline's `assets.py`, by pipeline.
        kept: nodes that earlier processes compiled; None compiles all.
    """
    keeping = Keeping(workspace, kept)
    return _Builder(workspace, source_columns or _unknown, handwritten or {}, keeping).build()


def _unknown(_: RawNode) -> None:
    """The columns of a source that nobody asks for."""


class _Unbuildable(Exception):
    """An upstream has problems of its own, which are reported there."""


class _Builder:
    def __init__(
        self,
        workspace: Workspace,
        source_columns: SourceColumns,
        handwritten: Mapping[str, Sequence[Handwritten]],
        keeping: Keeping,
    ) -> None:
        self._workspace = workspace
        self._keeping = keeping
        self._source_columns = source_columns
        self._declared: dict[Key, tuple[PipelineFile, Any]] = {
            Key(layer, file.spec.pipeline, name): (file, spec)
            for file in workspace.pipelines
            for layer, section in SECTIONS.items()
            for name, spec in getattr(file.spec, section).items()
        }
        self._built: dict[Key, AnyNode | None] = {}
        self._stack: list[Key] = []
        self._left_out: dict[Key, Problem | None] = {}
        """Assets without a mistake of their own, below one of another pipeline that has some."""
        self._parameters: dict[Key, RunParameters] = {}
        self._warnings: list[Problem] = []
        self._problems: dict[str, list[Problem]] = {
            file.spec.pipeline: [] for file in workspace.pipelines
        }
        self._finishing = {
            file.spec.pipeline: self._on_finish(file) for file in workspace.pipelines
        }
        self._registered: dict[str, tuple[Registration, ...]] = {}
        self._handwritten: dict[Key, Handwritten] = {}
        self._handwritten = self._declare(handwritten)

    def build(self) -> BuiltPlan:
        layers = list(SECTIONS)
        for key in sorted(self._declared, key=lambda key: layers.index(key.layer)):
            with suppress(_Unbuildable):  # its own problems are kept
                self._node(key)
        self._refuse_same_places()
        self._registered = {
            file.spec.pipeline: self._registrations(file) for file in self._workspace.pipelines
        }
        personal = self._follow_personal()
        sound = [
            file for file in self._workspace.pipelines if not self._problems[file.spec.pipeline]
        ]
        self._keeping.write([file.spec.pipeline for file in sound])
        plan = masked(Plan(tuple(map(self._pipeline_plan, sound))), personal)
        broken = {
            name: tuple(key for key in self._declared if key.pipeline == name)
            for name, problems in self._problems.items()
            if problems
        }
        for key, problem in self._left_out.items():
            if key.pipeline not in broken or key not in broken[key.pipeline]:
                broken[key.pipeline] = (*broken.get(key.pipeline, ()), key)
            if problem is not None:
                self._problems[key.pipeline].append(problem)
        problems = sorted(
            {problem for found in self._problems.values() for problem in found}
            | set(self._warnings)
        )
        return BuiltPlan(plan, tuple(problems), broken)

    def _refuse_same_places(self) -> None:
        for key, message in same_places(node for node in self._built.values() if node).items():
            self._problems[key.pipeline].append(Problem(self._at(key)(), message))

    def _follow_personal(self) -> Personal:
        """Personal data of all that could be built, also beside mistakes of another kind."""
        plan = Plan(tuple(self._pipeline_plan(file) for file in self._workspace.pipelines))
        personal = followed(plan)
        places = Places(self._declared, self._at)
        refused_at = problems_of(plan, personal, places)
        for key, problems in refused_at.items():
            self._problems[key.pipeline] += problems
        self._warnings += warnings_of(personal, places)
        self._leave_out_below(plan, set(refused_at))
        return personal

    def _leave_out_below(self, plan: Plan, gone: set[Key]) -> None:
        """Leave out of other pipelines what is made of something that isn't there."""
        while below := [
            (node.key, upstream)
            for node in plan.nodes
            if node.key not in gone
            and (
                upstream := next(
                    (one.key for one in (*node.inputs, *node.after) if one.key in gone), None
                )
            )
        ]:
            for key, upstream in below:
                gone.add(key)
                if self._problems[key.pipeline]:
                    continue
                own = upstream.pipeline == key.pipeline
                problem = None if own else Problem(self._at(key)(), _left_out_below(upstream))
                self._left_out[key] = problem
                self._built[key] = None

    def _declare(self, handwritten: Mapping[str, Sequence[Handwritten]]) -> dict[Key, Handwritten]:
        """Add what functions make to what YAML declares; no asset may be there twice."""
        files = {file.spec.pipeline: file for file in self._workspace.pipelines}
        found: dict[Key, Handwritten] = {}
        for pipeline, written in handwritten.items():
            for one in written:
                key = Key(*one.key)
                if key in self._declared:
                    place = found[key].location if key in found else self._at(key)()
                    message = f"{key} is declared already: {place}"
                    self._problems[pipeline].append(Problem(one.location, message))
                    continue
                found[key] = one
                self._declared[key] = (files[pipeline], one.spec)
        return found

    def _pipeline_plan(self, file: PipelineFile) -> PipelinePlan:
        spec = file.spec
        schedule = Schedule(cron=spec.schedule) if isinstance(spec.schedule, str) else spec.schedule
        # `_built` is filled upstreams first, so its order is an order in which assets can run.
        nodes = tuple(
            node for node in self._built.values() if node and node.key.pipeline == spec.pipeline
        )
        return PipelinePlan(
            spec.pipeline,
            spec.description,
            spec.owner,
            file.locate("pipeline"),
            schedule,
            nodes,
            spec.max_active_runs,
            self._finishing[spec.pipeline],
            spec.notify,
            self._registered[spec.pipeline],
        )

    def _registrations(self, file: PipelineFile) -> tuple[Registration, ...]:
        """Where keys of dynamic partitions come from."""
        try:
            return registrations_of(file, self._built)
        except ConfigurationError as error:
            self._problems[file.spec.pipeline] += error.problems
            return ()

    def _on_finish(self, file: PipelineFile) -> UserFunction | None:
        """The function that is called after each run of a pipeline; who is told is looked at."""
        problems = self._problems[file.spec.pipeline]
        if not self._workspace.platform_problems:
            problems += unknown_channels(file, list(self._workspace.platform.alerts.channels))
        try:
            return on_finish_of(file)
        except ConfigurationError as error:
            problems += error.problems
            return None

    def _node(self, key: Key) -> AnyNode:
        if key in self._built:
            node = self._built[key]
            if node is None:
                raise _Unbuildable(str(key))
            return node
        file, spec = self._declared[key]
        self._stack.append(key)
        self._built[key] = None
        try:
            node = self._keeping.node(self._asset(key, file, spec), self._compiled)
        except ConfigurationError as error:
            self._problems[key.pipeline] += error.problems
            raise _Unbuildable(str(key)) from None
        except _Unbuildable as error:
            upstream = Key.parse(str(error))
            if upstream.pipeline != key.pipeline:
                self._left_out[key] = Problem(self._at(key)(), _left_out_below(upstream))
            elif upstream in self._left_out:
                self._left_out[key] = None
            raise _Unbuildable(str(key)) from None
        finally:
            self._stack.pop()
        del self._built[key]
        self._built[key] = node
        for problem in parameter_problems(node, self._parameters[key], self._at(key)):
            (self._warnings if problem.warning else self._problems[key.pipeline]).append(problem)
        if mistake := automation_mistake(node):
            keys, message = mistake
            self._problems[key.pipeline].append(Problem(self._at(key)(*keys), message))
        return node

    def _compiled(self, asset: Declared[Any]) -> AnyNode:
        match asset.spec:
            case DatabaseSource() | ApiSource() | FileSource() | TopicSource() | PythonSource():
                return raw_node(asset, self._source_columns)
            case StagingAsset():
                return staging_node(asset)
            case AnalyticsAsset():
                with indented(asset.spec, asset.at("query")):
                    return analytics_node(asset)
            case DatabaseDestination() | RedshiftDestination() | FileDestination():
                return destination_node(asset)
            case HandwrittenAsset():
                return python_node(asset, self._handwritten[asset.key])
            case _:
                raise AssertionError(asset.spec)

    def _asset(self, key: Key, file: PipelineFile, spec: SpecT_co) -> Declared[SpecT_co]:
        broken = bool(self._workspace.platform_problems)
        self._parameters[key] = parameters_of(spec, self._at(key))
        return Declared(
            key,
            file,
            spec,
            self._at(key),
            functools.partial(self._upstream, key),
            functools.partial(self._target, key),
            functools.partial(self._destination, key),
            None if broken else self._workspace.platform,
            self._parameters[key],
        )

    def _at(self, key: Key) -> Callable[..., Location]:
        file, _ = self._declared[key]
        written = self._handwritten.get(key)
        if written is not None:
            return lambda *_keys: written.location
        return lambda *keys: file.locate(SECTIONS[key.layer], key.name, *keys)

    def _upstream(
        self, key: Key, reference: str, location: Location, layers: set[str] | None
    ) -> LakeNode:
        target = self._target(key, reference, location)
        if layers and target.layer not in layers:
            raise refused(location, f"{reference} is no {' or '.join(sorted(layers))} asset")
        if target in self._stack:
            cycle = [*self._stack[self._stack.index(target) :], target]
            raise refused(location, f"a cycle: {' <- '.join(str(step) for step in cycle)}")
        node = self._node(target)
        if not isinstance(node, LakeNode):
            raise refused(location, f"{reference} is a destination; name the asset that it loads")
        return node

    def _destination(self, key: Key, reference: str, location: Location) -> DestinationNode:
        node = self._node(self._target(key, reference, location, ("destinations",)))
        assert isinstance(node, DestinationNode)  # noqa: S101 -- the layer says so
        return node

    def _target(
        self,
        key: Key,
        reference: str,
        location: Location,
        layers: Sequence[str] = LAKE_LAYERS,
    ) -> Key:
        target = _referenced(key, reference, layers)
        if target is None:
            raise refused(
                location, f"{reference!r} is no reference: layer.name, or pipeline.layer.name"
            )
        if target in self._declared:
            return target
        if target.pipeline in {broken.name for broken in self._workspace.broken}:
            raise _Unbuildable(str(target))
        known = [
            f"{known.layer}.{known.name}"
            for known in self._declared
            if known.pipeline == target.pipeline
        ]
        hint = (
            nearest(f"{target.layer}.{target.name}", known, 0.5)
            or f"pipeline {target.pipeline} has {', '.join(known) or 'none'}"
        )
        raise refused(location, f"there is no asset {reference}; {hint}")


def _left_out_below(upstream: Key) -> str:
    return f"{upstream}, which it reads, has errors: it is left out until they are mended"


def _referenced(key: Key, reference: str, layers: Sequence[str]) -> Key | None:
    """The key that an asset means by `layer.name` or `pipeline.layer.name`."""
    match reference.split("."):
        case [layer, name]:
            target = Key(layer, key.pipeline, name)
        case [pipeline, layer, name]:
            target = Key(layer, pipeline, name)
        case _:
            return None
    return target if target.layer in layers else None
