"""A staging asset, resolved: its source and what its steps and rules read besides.

Called by `plan.building`; the steps themselves are compiled by `plan.staging.compiling`.
"""

import functools

from data_platform.errors import ConfigurationError, Location, Problem
from data_platform.plan.checks.kinds import UniqueCheck
from data_platform.plan.checks.own_checks import read_by_rule
from data_platform.plan.checks.thresholds import Tuning
from data_platform.plan.declared import Declared, same_partition
from data_platform.plan.nodes import Input, LakeNode, StagingNode
from data_platform.plan.relations import relation_of
from data_platform.plan.schemas import Schema
from data_platform.plan.staging.compiling import StagingCompiler
from data_platform.plan.staging.other_side import OtherSide
from data_platform.spec.pipeline import StagingAsset
from data_platform.spec.transformations import Mask


def staging_node(asset: Declared[StagingAsset]) -> StagingNode:
    """The node of a staging asset.

    Raises:
        ConfigurationError: all that is wrong with it.
    """
    spec = asset.spec
    source = asset.upstream(spec.from_, asset.at("from"), {"raw", "staging"})
    partitions = asset.inherited_partitions(source.partitions)
    inputs = {source.key.relation: same_partition(source, partitions, asset.at("from"))}
    others: dict[str, Schema] = {}

    def other_side(reference: str, location: Location) -> OtherSide:
        other = asset.upstream(reference, location, None)
        given = same_partition(other, partitions, location)
        inputs[relation_of(given)] = given
        others[relation_of(given)] = other.schema
        return OtherSide(
            relation_of(given),
            other.schema.names,
            given.by_partition,
            partitions is not None,
            _unique_keys(other, given),
        )

    def reads(reference: str, location: Location, *, whole: bool) -> Input:
        other = asset.upstream(reference, location, None)
        given = read_by_rule(other, partitions, location, whole=whole)
        inputs.setdefault(relation_of(given), given)
        others.setdefault(relation_of(given), other.schema)
        return given

    compiler = StagingCompiler(
        spec,
        (source.key, source.schema, partitions),
        asset.at,
        other_side,
        reads,
        lambda: others,
        functools.partial(asset.function, partitions),
        asset.parameters,
    )
    _require_masking_key(asset)
    steps, schema, contract, checks = compiler.compile()
    limit = spec.max_quarantine_percentage
    tuning = Tuning(asset.parameters, asset.at("max_quarantine_percentage"))
    return StagingNode(
        source=source.key,
        partitions=partitions,
        inputs=tuple(inputs.values()),
        schema=schema,
        steps=steps,
        contract=contract,
        checks=checks,
        extra_columns=spec.extra_columns,
        max_quarantine_percentage=None if limit is None else tuning.share("limit", limit),
        quarantine_parameter=tuning.tuned.get("limit"),
        unversioned=compiler.momentary,
        masked=compiler.masked,
        **asset.common(),
    )


def _require_masking_key(asset: Declared[StagingAsset]) -> None:
    """See to it that platform.yaml names the key of masking where a column needs one."""
    if asset.platform is None or asset.platform.masking is not None:
        return
    problems = [
        Problem(
            asset.at("transformations", number, "mask", "columns", column),
            f"{column} is masked by `hash`, which needs the platform's key: name it in "
            "platform.yaml as `masking: {key: ${MASKING_KEY}}`",
        )
        for number, step in enumerate(asset.spec.transformations)
        if isinstance(step, Mask)
        for column, method in step.columns.items()
        if method == "hash"
    ]
    if problems:
        raise ConfigurationError(problems)


def _unique_keys(other: LakeNode, given: Input) -> tuple[frozenset[str], ...]:
    """By which columns a row is the only one in what is read of an upstream."""
    return tuple(
        frozenset(check.columns)
        for check in other.checks
        if isinstance(check, UniqueCheck)
        and check.effect == "fail"
        and not (check.max_duplicates or check.tuned)
        and (check.whole_asset or given.reads in {"same", "whole"})
    )
