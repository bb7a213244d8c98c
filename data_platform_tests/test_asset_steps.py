"""A step's two definitions are those that Dagster's own decorator makes."""

from collections.abc import Iterator
from typing import Any

import dagster as dg
from factories import Project

from data_platform.asset_specs import asset_spec, check_specs
from data_platform.asset_steps import backfill_policy, step_asset, step_tags
from data_platform.plan.checks.notices import further_checks
from data_platform.plan.nodes import AnyNode

BODY = """
partitions: {every: day, start: 2024-01-01}
sources:
  orders: {type: python, function: feeds:fetch}
staging:
  orders: {from: raw.orders, quality: [unique: id, not_null: id]}
  lines: {from: raw.orders}
analytics:
  both:
    query: SELECT o.id FROM staging.orders AS o JOIN staging.lines AS l USING (id)
"""
RESOURCES = {"lake"}


def declare(project: Project) -> None:
    project.declare(BODY)
    functions = "def fetch(partition):\n    yield {'id': 1}\n"
    (project.pipelines / "shop" / "feeds.py").write_text(functions)


def ours(node: AnyNode) -> dg.AssetsDefinition:
    def step(_context: dg.AssetExecutionContext) -> Iterator[Any]:
        yield from ()

    return step_asset(node, asset_spec(node), step, RESOURCES)


def decorated(node: AnyNode) -> dg.AssetsDefinition:
    @dg.multi_asset(
        name=node.step_name,
        specs=[asset_spec(node)],
        check_specs=check_specs(node, further_checks(node)),
        required_resource_keys=RESOURCES,
        pool=node.pool,
        backfill_policy=backfill_policy(node),
        op_tags=step_tags(node),
    )
    def step(_context: dg.AssetExecutionContext) -> Iterator[Any]:
        yield from ()

    return step


def told(asset: dg.AssetsDefinition) -> dict[str, Any]:
    """All that Dagster knows of an asset and its op."""
    op = asset.op
    return {
        **asset.get_attributes_dict(),
        "specs": list(asset.specs),
        "node_def": (op.name, op.tags, op.pool, op.description, op.required_resource_keys),
        "config": op.config_schema.as_field().config_type.key,
        "ins": [(one.name, one.dagster_type, one.metadata) for one in op.input_defs],
        "outs": [
            (
                one.name,
                one.dagster_type,
                one.is_required,
                one.description,
                one.metadata,
                one.code_version,
            )
            for one in op.output_defs
        ],
    }


def test_definitions_are_those_of_the_decorator(project: Project) -> None:
    declare(project)
    for name in ("raw/orders", "staging/orders", "analytics/both"):
        node = project.node(name)
        assert told(ours(node)) == told(decorated(node))


def test_assets_are_bound_to_resources_as_dagster_binds_them(project: Project) -> None:
    declare(project)
    nodes = [project.node(name) for name in ("staging/orders", "staging/lines")]
    for value in ("one lake", "another lake"):
        lake = dg.ResourceDefinition.hardcoded_resource(value)
        other = dg.ResourceDefinition.none_resource()
        resources = {"lake": lake, "other": other}
        mine = dg.with_resources([ours(node) for node in nodes], resources)
        theirs = dg.with_resources([decorated(node) for node in nodes], resources)
        for one, same in zip(mine, theirs, strict=True):
            assert one.resource_defs.keys() == same.resource_defs.keys()
            assert one.resource_defs["lake"] is lake
            assert one.keys == same.keys
