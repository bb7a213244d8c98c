"""An `assets.py` beside a pipeline: its module imported, its assets in the words of the language.

Called by `loading`. Nothing of Dagster's own objects is judged by Dagster before it is judged here:
what would take a code location down becomes a problem at the function's line.
"""

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from types import ModuleType
from typing import Any, ParamSpec, TypeGuard, TypeVar, cast

import dagster as dg
from dagster._config import ConfigTypeKind
from pydantic import ValidationError

from data_platform.beside import fingerprint_of, import_beside
from data_platform.engine.lake_frames import ALLOWED, frame_type
from data_platform.errors import ConfigurationError, Location, Problem
from data_platform.handwritten.keys import Names, full_key
from data_platform.handwritten.partitioning import (
    dimension_names,
    window_of,
    written_partitions,
)
from data_platform.handwritten.written import AssetsFile, Parameter, WrittenStep
from data_platform.spec.handwritten import (
    ASSETS_FILE,
    FunctionInput,
    Handwritten,
    HandwrittenAsset,
)
from data_platform.spec.reading import PipelineFile

MODULE = Path(ASSETS_FILE).stem
PLATFORM_RESOURCES = ("lake", "io_manager")
"""Beside the connections of platform.yaml."""

Given = ParamSpec("Given")
Made = TypeVar("Made")
_NOT_TAKEN = (dg.Definitions, dg.RepositoryDefinition)
_OTHERS = (dg.ScheduleDefinition, dg.SensorDefinition, dg.JobDefinition)


def read_assets(file: PipelineFile, connections: Sequence[str] | None) -> AssetsFile:
    """Read the `assets.py` beside a pipeline.

    Args:
        file: the pipeline.
        connections: of platform.yaml, which a function may ask for as resources; None where it has
            mistakes, and so names nothing.
    """
    try:
        module = import_beside(file.folder, file.spec.pipeline, MODULE)
    except ConfigurationError as error:
        return AssetsFile(problems=error.problems)
    return _Reader(file, module, connections).read()


class _Reader:
    """Reads one module and gathers all that is wrong with it."""

    def __init__(
        self, file: PipelineFile, module: ModuleType, connections: Sequence[str] | None
    ) -> None:
        self._top = Location(file.folder / ASSETS_FILE)
        self._connections = connections
        self._problems: list[Problem] = []
        self._code = fingerprint_of(module)
        self._found = list(_objects(module))
        self._functions = [entry for entry in self._found if _makes_assets(entry)]
        written = tuple(key for definition in self._functions for key in definition.keys)
        self._names = Names(file.spec.pipeline, written, _declared(file))

    def read(self) -> AssetsFile:
        """The file, with all problems."""
        assets: list[Handwritten] = []
        steps: list[WrittenStep] = []
        for definition in self._functions:
            place = place_of(definition, self._top)
            step = self._told(place, self._step, definition)
            if step is None:
                continue
            steps.append(step)
            made = (self._told(place, self._asset, step, key, place) for key in step.keys)
            assets += [asset for asset in made if asset is not None]
        checks = [
            self._told(place_of(entry, self._top), self._check, entry)
            for entry in self._found
            if isinstance(entry, dg.AssetChecksDefinition)
        ]
        self._warn_of_definitions()
        return AssetsFile(
            tuple(assets),
            tuple(steps),
            tuple(check for check in checks if check is not None),
            tuple(entry for entry in self._found if isinstance(entry, _OTHERS)),
            tuple(self._problems),
        )

    def _warn_of_definitions(self) -> None:
        for entry in self._found:
            if isinstance(entry, _NOT_TAKEN):
                message = (
                    f"{ASSETS_FILE} has a {type(entry).__name__}, which isn't read: the platform "
                    "makes the definitions, and connections of platform.yaml are the resources"
                )
                self._problems.append(Problem(self._top, message, warning=True))

    def _told(
        self, place: Location, make: Callable[Given, Made], *args: Given.args, **named: Given.kwargs
    ) -> Made | None:
        """What `make` gives; None where it raises a mistake, which is kept."""
        try:
            return make(*args, **named)
        except ValueError as error:
            if isinstance(error, ValidationError):
                self._problems += [Problem(place, text) for text in _spec_texts(error)]
            else:
                self._problems.append(Problem(place, str(error)))
            return None

    def _step(self, definition: dg.AssetsDefinition) -> WrittenStep:
        if not definition.is_executable or not isinstance(definition.node_def, dg.OpDefinition):
            raise ValueError("only functions under @asset or @multi_asset are taken from assets.py")
        self._require_resources(definition)
        keys = {key: full_key(key, self._names) for key in definition.keys}
        return WrittenStep(
            definition.node_def.name,
            definition,
            keys,
            {name: keys[key] for name, key in definition.keys_by_output_name.items()},
            tuple(self._parameters(definition)),
            dimension_names(definition.partitions_def),
        )

    def _parameters(self, definition: dg.AssetsDefinition) -> Iterator[Parameter]:
        for name, key in definition.keys_by_input_name.items():
            given = definition.op.input_def_named(name)
            if given.dagster_type.is_nothing:
                continue
            asked = getattr(given.dagster_type, "typing_type", Any)
            wanted = frame_type(asked)
            if wanted is None:
                raise ValueError(
                    f"parameter {name} is annotated {getattr(asked, '__name__', asked)}; it may "
                    f"be {ALLOWED}, or a dict of them by partition"
                )
            resolved = self._names.resolve(key)
            if resolved.path[0] == "destinations":
                raise ValueError(
                    f"parameter {name} names a destination, of which the lake has no rows: say "
                    f'deps=[dg.AssetKey(["destinations", "{resolved.path[-1]}"])], and read the '
                    "table by its connection"
                )
            columns = (given.metadata or {}).get("columns")
            yield Parameter(
                name,
                resolved,
                wanted,
                tuple(str(column) for column in cast("Sequence[object]", columns))
                if isinstance(columns, list | tuple)
                else None,
            )

    def _require_resources(self, definition: dg.AssetsDefinition) -> None:
        if self._connections is None:
            return
        known = {*definition.resource_defs, *self._connections, *PLATFORM_RESOURCES}
        missing = sorted(definition.op.required_resource_keys - known)
        if missing:
            raise ValueError(
                f"there is no resource {missing[0]!r}: resources are the connections of "
                f"platform.yaml, {', '.join(self._connections) or 'which has none'}"
            )

    def _asset(self, step: WrittenStep, written: dg.AssetKey, place: Location) -> Handwritten:
        definition = step.definition
        spec = definition.specs_by_key[written]
        said = {
            name: getattr(value, "value", value)
            for name, value in spec.metadata.items()
            if name in HandwrittenAsset.model_fields and name not in _OF_DAGSTER
        }
        if spec.description:
            said["description"] = spec.description
        if spec.owners:
            said["owner"] = spec.owners[0]
        said["partitions"] = written_partitions(spec.partitions_def)
        inputs = tuple(
            FunctionInput(
                self._names.reference(dep.asset_key),
                window_of(dep.partition_mapping, dep.asset_key),
            )
            # Dagster keeps them in a set: another order would be another code version.
            for dep in sorted(spec.deps, key=lambda dep: tuple(dep.asset_key.path))
        )
        policy = definition.backfill_policy
        layer, pipeline, name = step.keys[written].path
        return Handwritten(
            (layer, pipeline, name),
            HandwrittenAsset.model_validate(said),
            place,
            f"{MODULE}.{function_of(definition).__name__}",
            step.name,
            inputs,
            policy is not None and policy.max_partitions_per_run != 1,
            self._code,
            spec.code_version,
            _reads_outside(definition.op),
        )

    def _check(self, definition: dg.AssetChecksDefinition) -> dg.AssetChecksDefinition:
        self._require_resources(definition)
        keys = {
            *(spec.asset_key for spec in definition.check_specs),
            *definition.keys_by_input_name.values(),
        }
        full = {key: self._names.resolve(key) for key in keys}
        return cast(
            "dg.AssetChecksDefinition", definition.with_attributes(asset_key_replacements=full)
        )


_OF_DAGSTER = {"description", "owner", "tags", "partitions"}
"""What Dagster's own arguments say."""


def function_of(definition: dg.AssetsDefinition) -> Callable[..., object]:
    """A person's function below its decorator."""
    return cast("Any", definition.op.compute_fn).decorated_fn


def place_of(definition: dg.AssetsDefinition, otherwise: Location) -> Location:
    """Where the function stands; an asset that isn't one function's is told at the file."""
    if not isinstance(definition.node_def, dg.OpDefinition):
        return otherwise
    code = function_of(definition).__code__
    return Location(Path(code.co_filename), code.co_firstlineno)


def _makes_assets(entry: object) -> TypeGuard[dg.AssetsDefinition]:
    return isinstance(entry, dg.AssetsDefinition) and not isinstance(
        entry, dg.AssetChecksDefinition
    )


def _declared(file: PipelineFile) -> tuple[tuple[str, str], ...]:
    """Layer and name of what the YAML declares, and functions may read."""
    spec = file.spec
    sections = {"raw": spec.sources, "staging": spec.staging, "analytics": spec.analytics}
    return tuple((layer, name) for layer, section in sections.items() for name in section)


def _objects(module: ModuleType) -> Iterator[object]:
    """What stands at the top of a module, alone or in lists, each once, in the file's order."""
    seen: set[int] = set()
    for value in vars(module).values():
        for entry in value if type(value) in {list, tuple} else [value]:
            if id(entry) not in seen:
                seen.add(id(entry))
                yield entry


def _spec_texts(error: ValidationError) -> Iterator[str]:
    for details in error.errors(include_url=False, include_input=False):
        way = ".".join(str(part) for part in details["loc"])
        yield f"metadata {way}: {details['msg']}"


def _reads_outside(op: dg.OpDefinition) -> bool:
    """Whether a function asks for resources, or a configuration of its own."""
    config = op.config_schema.config_type
    return bool(op.required_resource_keys) or (
        config is not None and config.kind is not ConfigTypeKind.ANY
    )
