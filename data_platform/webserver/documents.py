"""What a GraphQL document would do, and the schema of a server that changes nothing.

Called by `app`. A document is judged by its operations, not by which of them is named: aliases,
fragments and several operations in one document make no difference.
"""

import functools
from collections.abc import Iterable
from typing import NoReturn

from graphene import Schema
from graphql import (
    GraphQLError,
    GraphQLObjectType,
    OperationDefinitionNode,
    OperationType,
    parse,
)

READ_ONLY = "this webserver is for reading: it changes nothing and starts nothing"
_RUN_CODE = {
    "DryRunInstigationTick": ("evaluationResult",),
    "Partition": ("runConfigOrError", "tagsOrError"),
}
"""Fields for which a code location runs code of pipelines, by their types."""
_REMEMBERED = 512
"""Documents: Dagster's UI asks with the same few."""
_LONGEST_REMEMBERED = 50_000
"""Characters of such a document."""


def operations_of(document: str) -> frozenset[OperationType]:
    """The kinds of all its operations; none where it can't be read.

    Raises:
        GraphQLError: it isn't a document of GraphQL.
    """
    if len(document) > _LONGEST_REMEMBERED:
        return _operations(document)
    return _remembered(document)


def _operations(document: str) -> frozenset[OperationType]:
    definitions = parse(document, no_location=True).definitions
    return frozenset(
        one.operation for one in definitions if isinstance(one, OperationDefinitionNode)
    )


_remembered = functools.lru_cache(_REMEMBERED)(_operations)


def without_changes(schema: Schema) -> Schema:
    """The schema as it is told, in which nothing that changes anything can be executed.

    So a mutation is refused even if it came past what looks at documents.
    """
    types = schema.graphql_schema
    if types.mutation_type is not None:
        _refuse(types.mutation_type, types.mutation_type.fields)
    for name, fields in _RUN_CODE.items():
        found = types.get_type(name)
        if not isinstance(found, GraphQLObjectType):
            raise TypeError(f"Dagster's GraphQL schema has no type {name} any more")
        _refuse(found, fields)
    if types.query_type is not None:
        # What greets newcomers goes away by a mutation only.
        types.query_type.fields["shouldShowNux"].resolve = lambda *_: False
    return schema


def _refuse(of_type: GraphQLObjectType, names: Iterable[str]) -> None:
    for name in names:
        of_type.fields[name].resolve = _refused


def _refused(*_: object, **__: object) -> NoReturn:
    raise GraphQLError(READ_ONLY)
