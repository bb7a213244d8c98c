"""The contract and rules of an asset that has no quarantine: of raw, analytics, destinations.

Called by the modules that build their nodes; staging has its own way, since its rules may hold
rows back.
"""

import functools

from data_platform.errors import ConfigurationError, Location
from data_platform.plan.checks.compiling import compile_rules, named_apart
from data_platform.plan.checks.contract_checks import compile_contract
from data_platform.plan.checks.kinds import Check, UniqueCheck
from data_platform.plan.checks.unbound import unbound
from data_platform.plan.checks.value_kinds import DriftCheck
from data_platform.plan.declared import Declared, all_of, refused, same_partition
from data_platform.plan.naming import HIDDEN_TYPES
from data_platform.plan.nodes import Input, Node
from data_platform.plan.partitions import Partitions
from data_platform.plan.relations import relation_of
from data_platform.plan.schemas import Schema
from data_platform.spec.asset import LakeAsset
from data_platform.spec.destinations import DatabaseDestination, FileDestination

_NO_QUARANTINE = "quarantine belongs to staging assets: here a rule fails or warns"
_NO_QUARANTINE_OUTSIDE = (
    "a table outside has no quarantine: what is loaded has passed staging, so a rule of a "
    "destination fails, and the load is rolled back, or warns"
)
_ONE_FILE = (
    "files of other partitions aren't read: keys that are unique in the whole asset are a rule of "
    "the asset that is carried"
)
_NO_DRIFT_OUTSIDE = (
    "figures of earlier partitions are kept with the versions of the lake, and a table outside has "
    "none: put the drift on the asset that is loaded"
)


def compile_own_checks(
    asset: Declared[LakeAsset] | Declared[DatabaseDestination] | Declared[FileDestination],
    schema: Schema,
    partitions: Partitions | None,
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
    lake = isinstance(spec, LakeAsset)
    no_quarantine = _NO_QUARANTINE if lake else _NO_QUARANTINE_OUTSIDE
    if spec.on_violation == "quarantine":
        raise refused(asset.at("on_violation"), no_quarantine)
    read = {relation_of(given): given for given in inputs}
    others: dict[str, Schema] = {}

    def reads(reference: str, location: Location, *, whole: bool) -> Input:
        other = asset.upstream(reference, location, None)
        given = read_by_rule(other, partitions, location, whole=whole)
        read.setdefault(relation_of(given), given)
        others[relation_of(given)] = other.schema
        return given

    checks = compile_contract(
        spec.columns if lake else {},
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
        partitions,
    )
    for check in checks:
        if check.effect == "quarantine":
            raise refused(check.location, no_quarantine)
        if isinstance(check, DriftCheck) and not lake:
            raise refused(check.location, _NO_DRIFT_OUTSIDE)
        if isinstance(spec, FileDestination) and _looks_around(check):
            raise refused(check.location, _ONE_FILE)
    if wrong := unbound(checks, schema, others, HIDDEN_TYPES):
        raise ConfigurationError(wrong)
    return named_apart(checks), tuple(read.values())


def _looks_around(check: Check) -> bool:
    return isinstance(check, UniqueCheck) and check.whole_asset


def read_by_rule(
    upstream: Node, partitions: Partitions | None, at: Location, *, whole: bool
) -> Input:
    """What a rule of an asset reads of an upstream.

    Args:
        upstream: the other asset.
        partitions: of the asset that has the rule.
        at: where it is named.
        whole: whether it asks for all of the upstream.
    """
    return all_of(upstream) if whole else same_partition(upstream, partitions, at)
