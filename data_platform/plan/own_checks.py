"""The contract and rules of an asset that has no quarantine: of raw and analytics.

Called by the modules that build their nodes; staging has its own way, since its rules may hold
rows back.
"""

import functools

from data_platform.errors import ConfigurationError, Location
from data_platform.plan.check_kinds import Check
from data_platform.plan.checks import compile_rules, named_apart
from data_platform.plan.contract_checks import compile_contract
from data_platform.plan.declared import Declared, all_of, refused, same_partition
from data_platform.plan.naming import HIDDEN_TYPES
from data_platform.plan.nodes import Input, Node
from data_platform.plan.partitions import DailyPartitions
from data_platform.plan.relations import relation_of
from data_platform.plan.schemas import Schema
from data_platform.plan.unbound_checks import unbound
from data_platform.spec.asset import LakeAsset

_NO_QUARANTINE = "quarantine belongs to staging assets: here a rule fails or warns"


def compile_own_checks(
    asset: Declared[LakeAsset],
    schema: Schema,
    partitions: DailyPartitions | None,
    inputs: tuple[Input, ...] = (),
) -> tuple[tuple[Check, ...], tuple[Input, ...]]:
    """The checks, and the inputs with what the rules read besides.

    Args:
        asset: as written.
        schema: its columns, as far as known.
        partitions: its partitions.
        inputs: what it reads without its rules.

    Raises:
        ConfigurationError: all that is wrong with them.
    """
    spec = asset.spec
    if spec.on_violation == "quarantine":
        raise refused(asset.at("on_violation"), _NO_QUARANTINE)
    read = {relation_of(given): given for given in inputs}
    others: dict[str, Schema] = {}

    def reads(reference: str, location: Location, *, whole: bool) -> Input:
        other = asset.upstream(reference, location, None)
        given = read_by_rule(other, partitions, location, whole=whole)
        read.setdefault(relation_of(given), given)
        others[relation_of(given)] = other.schema
        return given

    checks = compile_contract(
        spec.columns,
        spec.on_violation,
        schema,
        lambda name: asset.at("columns", name),
        asset.parameters,
    )
    checks += compile_rules(
        spec.quality,
        spec.on_violation,
        schema,
        lambda *keys: asset.at("quality", *keys),
        reads,
        functools.partial(asset.function, partitions, "rule"),
        asset.parameters,
    )
    for check in checks:
        if check.effect == "quarantine":
            raise refused(check.location, _NO_QUARANTINE)
    if wrong := unbound(checks, schema, others, HIDDEN_TYPES):
        raise ConfigurationError(wrong)
    return named_apart(checks), tuple(read.values())


def read_by_rule(
    upstream: Node, partitions: DailyPartitions | None, location: Location, *, whole: bool
) -> Input:
    """What a rule of an asset reads of an upstream.

    Args:
        upstream: the other asset.
        partitions: of the asset that has the rule.
        location: of the rule.
        whole: whether it asks for all of the upstream.
    """
    if whole:
        return all_of(upstream)
    if partitions is not None and upstream.partitions is None:
        raise refused(
            location, f"{upstream.key} has no partitions that this asset's could be compared with"
        )
    return same_partition(upstream, partitions)
