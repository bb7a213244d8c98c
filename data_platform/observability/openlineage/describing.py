"""What is known of jobs and datasets before a run: names, owners, columns, SQL, where they stand.

Called by `events` for the nodes of the plan. What it says is made of the plan alone, so that it is
the same for every run of an asset.
"""

from collections.abc import Iterable, Iterator, Sequence
from typing import Any, NamedTuple
from urllib.parse import quote

from openlineage.client.event_v2 import Job
from openlineage.client.facet_v2 import (
    DatasetFacet,
    JobFacet,
    dataset_type_dataset,
    datasource_dataset,
    documentation_dataset,
    documentation_job,
    job_type_job,
    ownership_dataset,
    ownership_job,
    schema_dataset,
    sql_job,
    storage_dataset,
    tags_dataset,
    tags_job,
)

from data_platform.observability.openlineage.columns import Recorded, column_lineage
from data_platform.observability.openlineage.naming import Named, Naming
from data_platform.observability.openlineage.repositories import code_location
from data_platform.plan.keys import Key
from data_platform.plan.lineage.assets import Lineage
from data_platform.plan.lineage.relations import Asset
from data_platform.plan.nodes import (
    AnalyticsNode,
    AnyNode,
    DestinationNode,
    LakeNode,
    RawNode,
    StagingNode,
)
from data_platform.plan.pipelines import Plan
from data_platform.plan.schemas import Schema
from data_platform.plan.sources.kinds import DatabaseQuery

SOURCE = "data_platform"
"""Of tags."""
LAKE_FORMAT = ("delta", "parquet")


class Found(NamedTuple):
    """A dataset, and its asset where it is one of the lake."""

    named: Named
    node: AnyNode | None


class Descriptions:
    """Describes the assets of a plan.

    Args:
        plan: all that exists.
        naming: of datasets.
        namespace: of jobs.
    """

    def __init__(self, plan: Plan, naming: Naming, namespace: str) -> None:
        self.plan = plan
        self.naming = naming
        self.namespace = namespace
        self._lineage = Lineage(plan)

    def job(self, node: AnyNode) -> Job:
        """The job that makes an asset."""
        owner = ownership_job.Owner(node.owner, "OWNER")
        facets: dict[str, JobFacet] = {
            "jobType": job_type_job.JobTypeJobFacet(
                processingType="BATCH", integration="DAGSTER", jobType="ASSET"
            ),
            "ownership": ownership_job.OwnershipJobFacet([owner]),
            "tags": tags_job.TagsJobFacet(
                [tags_job.TagsJobFacetFields(key, value, SOURCE) for key, value in _tags(node)]
            ),
        }
        if node.description:
            facets["documentation"] = documentation_job.DocumentationJobFacet(
                node.description, "text/markdown"
            )
        if (sql := _sql(node)) is not None:
            facets["sql"] = sql_job.SQLJobFacet(*sql)
        if (place := code_location(node.location)) is not None:
            facets["sourceCodeLocation"] = place
        return Job(self.namespace, self.job_name(node.key), facets)

    def job_name(self, key: Key) -> str:
        """`pipeline.layer.asset`."""
        return key.relation

    def inputs(self, node: AnyNode) -> list[Found]:
        """The datasets that an asset is made of."""
        outside = self.naming.source(node.source) if isinstance(node, RawNode) else []
        found = {named: Found(named, None) for named in outside}
        for given in node.inputs:
            named = self.naming.table(given.key)
            found[named] = Found(named, self.plan.get(given.key))
        return list(found.values())

    def output(self, node: AnyNode) -> Named:
        """The dataset that an asset is."""
        if isinstance(node, DestinationNode):
            return self.naming.target(node.target)
        return self.naming.table(node.key)

    def facets_of_input(self, found: Found) -> dict[str, DatasetFacet]:
        """What is told of a dataset that is read."""
        facets = _place_facets(found.named)
        if isinstance(found.node, LakeNode):
            facets |= _lake_facets()
            facets |= _schema_facet(found.node.schema)
        return facets

    def facets_of_output(
        self, node: AnyNode, columns: Sequence[tuple[str, str]], recorded: Recorded
    ) -> dict[str, DatasetFacet]:
        """What is told of the dataset that an asset is.

        Args:
            node: the asset.
            columns: names and types that a run told, where the plan doesn't know them.
            recorded: of which columns a run said its columns are made.
        """
        schema = self._schema(node)
        facets: dict[str, DatasetFacet] = _place_facets(self.output(node))
        facets |= _lake_facets() if isinstance(node, LakeNode) else {}
        facets |= _schema_facet(schema, columns)
        facets["ownership"] = ownership_dataset.OwnershipDatasetFacet(
            [ownership_dataset.Owner(node.owner, "OWNER")]
        )
        facets["tags"] = tags_dataset.TagsDatasetFacet(list(_dataset_tags(node)))
        if node.description:
            facets["documentation"] = documentation_dataset.DocumentationDatasetFacet(
                node.description, "text/markdown"
            )
        lineage = self._column_lineage(node, [name for name, _ in columns], recorded)
        return facets | ({"columnLineage": lineage} if lineage is not None else {})

    def _column_lineage(
        self, node: AnyNode, columns: Sequence[str], recorded: Recorded
    ) -> DatasetFacet | None:

        def named(asset: Asset) -> Named | None:
            if isinstance(asset, Key):
                return self.naming.table(asset)
            if not isinstance(node, RawNode):
                return None
            # A query of several tables doesn't tell whose its columns are.
            outside = self.naming.source(node.source)
            return outside[0] if len(outside) == 1 else None

        return column_lineage(node, self._lineage, named, columns, recorded)

    def _schema(self, node: AnyNode) -> Schema:
        """The columns of an asset; a destination has those of what it loads."""
        if not isinstance(node, DestinationNode):
            return node.schema
        source = self.plan.get(node.source)
        return node.contract or (source.schema if source else node.schema)

    def quarantine(self, node: LakeNode) -> tuple[Named, dict[str, DatasetFacet]]:
        """The dataset of the rows that an asset held back."""
        named = self.naming.table(node.quarantine_key)
        return named, _place_facets(named) | _lake_facets()


def _tags(node: AnyNode) -> Iterator[tuple[str, str]]:
    yield from sorted(node.tags.items())
    yield "criticality", node.criticality
    yield "layer", node.key.layer


def _dataset_tags(node: AnyNode) -> Iterator[tags_dataset.TagsDatasetFacetFields]:
    for key, value in _tags(node):
        yield tags_dataset.TagsDatasetFacetFields(key, value, SOURCE)
    for column in node.schema.columns:
        if column.pii:
            yield tags_dataset.TagsDatasetFacetFields("pii", "true", SOURCE, column.name)


def _sql(node: AnyNode) -> tuple[str, str | None] | None:
    """The statement that makes an asset, and the dialect that it is in."""
    match node:
        case StagingNode() | AnalyticsNode():
            return node.sql, "duckdb"
        case RawNode(source=DatabaseQuery() as source):
            return source.query, None
        case _:
            return None


def _place_facets(named: Named) -> dict[str, Any]:
    name = named.namespace
    uri = f"file://{quote(named.name)}" if name == "file" else quote(name, safe=":/@[]")
    kind = "FILE" if name == "file" or name.startswith("s3://") else "TABLE"
    kind = "TOPIC" if name.startswith("kafka://") else kind
    kind = "API" if name.startswith(("http", "api://")) else kind
    return {
        "dataSource": datasource_dataset.DatasourceDatasetFacet(name, uri),
        "datasetType": dataset_type_dataset.DatasetTypeDatasetFacet(kind),
    }


def _lake_facets() -> dict[str, Any]:
    return {
        "storage": storage_dataset.StorageDatasetFacet(*LAKE_FORMAT),
        "datasetType": dataset_type_dataset.DatasetTypeDatasetFacet("TABLE"),
    }


def _schema_facet(schema: Schema, columns: Iterable[tuple[str, str]] = ()) -> dict[str, Any]:
    """The columns with their types; those that a run told, where it did."""
    known = {column.name: column for column in schema.columns}
    types = dict(columns) or {name: column.type or "unknown" for name, column in known.items()}
    fields = [
        schema_dataset.SchemaDatasetFacetFields(
            name, kind.lower(), known[name].description if name in known else None, number, None
        )
        for number, (name, kind) in enumerate(types.items(), 1)
    ]
    return {"schema": schema_dataset.SchemaDatasetFacet(fields)} if fields else {}
