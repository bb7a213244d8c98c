"""Each mutation of Dagster's schema, with variables by which it would do something.

`test_read_only_server` sends them all to a server that must refuse them; `test_users_of_the_ui`
sends the same ones to a full server, which shows that they would have worked.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from graphql import GraphQLSchema, is_leaf_type

LOCATION = "attacked"
_REPOSITORY = {"repositoryName": "__repository__", "repositoryLocationName": LOCATION}
_ORDERS = {"path": ["orders"]}
SCHEDULE = {**_REPOSITORY, "scheduleName": "every_night"}
SENSOR = {**_REPOSITORY, "sensorName": "new_files"}
RUN = {"selector": {**_REPOSITORY, "jobName": "greeting"}, "runConfigData": {}}
_AGAIN = {"strategy": "ALL_STEPS"}


@dataclass(frozen=True)
class Mutation:
    """What would change something.

    Attributes:
        name: of the field.
        answers: the type of what a full server answers, or the value where it is no object.
        variables: of the field's arguments; {ended} and other names stand for what there is.
    """

    name: str
    answers: str
    variables: Mapping[str, Any] = field(default_factory=dict)

    def document(self, schema: GraphQLSchema, alias: str = "") -> str:
        """A document that sends it, with the types that the schema says."""
        assert schema.mutation_type is not None
        told = schema.mutation_type.fields[self.name]
        used = {name: one for name, one in told.args.items() if name in self.variables}
        head = ", ".join(f"${name}: {one.type}" for name, one in used.items())
        given = ", ".join(f"{name}: ${name}" for name in used)
        kind = told.type.of_type if hasattr(told.type, "of_type") else told.type
        chosen = "" if is_leaf_type(kind) else " { __typename }"
        return (
            f"mutation Forged{f'({head})' if head else ''} "
            f"{{ {alias}{self.name}{f'({given})' if given else ''}{chosen} }}"
        )

    def of(self, names: Mapping[str, str]) -> dict[str, Any]:
        """Its variables, about what there is."""
        text = json.dumps(dict(self.variables))
        for name, value in names.items():
            text = text.replace(f"{{{name}}}", value)
        return json.loads(text)


MUTATIONS = (
    Mutation("launchRun", "LaunchRunSuccess", {"executionParams": RUN}),
    Mutation("launchPipelineExecution", "LaunchRunSuccess", {"executionParams": RUN}),
    Mutation("launchMultipleRuns", "LaunchMultipleRunsResult", {"executionParamsList": [RUN]}),
    Mutation(
        "launchRunReexecution", "LaunchRunSuccess",
        {"reexecutionParams": {"parentRunId": "{ended}", **_AGAIN}},
    ),
    Mutation(
        "launchPipelineReexecution", "LaunchRunSuccess",
        {"reexecutionParams": {"parentRunId": "{ended}", **_AGAIN}},
    ),
    Mutation("startSchedule", "ScheduleStateResult", {"scheduleSelector": SCHEDULE}),
    Mutation("stopRunningSchedule", "ScheduleStateResult", {"id": "{schedule}"}),
    Mutation("resetSchedule", "ScheduleStateResult", {"scheduleSelector": SCHEDULE}),
    Mutation("startSensor", "Sensor", {"sensorSelector": SENSOR}),
    Mutation("setSensorCursor", "Sensor", {"sensorSelector": SENSOR, "cursor": "forged"}),
    Mutation("stopSensor", "StopSensorMutationResult", {"id": "{sensor}"}),
    Mutation("resetSensor", "Sensor", {"sensorSelector": SENSOR}),
    Mutation("sensorDryRun", "DryRunInstigationTick", {"selectorData": SENSOR, "cursor": "1"}),
    Mutation(
        "scheduleDryRun", "DryRunInstigationTick",
        {"selectorData": SCHEDULE, "timestamp": 1_700_000_000.0},
    ),
    Mutation("terminateRun", "TerminateRunSuccess", {"runId": "{waiting}"}),
    Mutation(
        "terminatePipelineExecution", "TerminateRunFailure",
        {"runId": "{waiting}", "terminatePolicy": "MARK_AS_CANCELED_IMMEDIATELY"},
    ),
    Mutation("terminateRuns", "TerminateRunsResult", {"runIds": ["{waiting}"]}),
    Mutation(
        "wipeAssets", "AssetWipeSuccess", {"assetPartitionRanges": [{"assetKey": _ORDERS}]},
    ),
    Mutation(
        "reportRunlessAssetEvents", "ReportRunlessAssetEventsSuccess",
        {
            "eventParams": {
                "eventType": "ASSET_MATERIALIZATION", "assetKey": _ORDERS,
                "partitionKeys": ["2024-01-03"],
            }
        },
    ),
    Mutation(
        "reportAssetCheckEvaluations", "ReportAssetCheckEvaluationsSuccess",
        {"eventParams": {"assetKey": _ORDERS, "checkName": "complete", "passed": False}},
    ),
    Mutation(
        "launchPartitionBackfill", "LaunchBackfillSuccess",
        {"backfillParams": {"assetSelection": [_ORDERS], "partitionNames": ["2024-01-03"]}},
    ),
    Mutation("cancelPartitionBackfill", "CancelBackfillSuccess", {"backfillId": "{backfill}"}),
    Mutation("resumePartitionBackfill", "ResumeBackfillSuccess", {"backfillId": "{backfill}"}),
    Mutation(
        "reexecutePartitionBackfill", "LaunchBackfillSuccess",
        {"reexecutionParams": {"parentRunId": "{old_backfill}", **_AGAIN}},
    ),
    Mutation(
        "logTelemetry", "LogTelemetrySuccess",
        {"action": "FORGED", "clientTime": "0", "clientId": "nobody", "metadata": "{}"},
    ),
    Mutation("setNuxSeen", "True"),
    Mutation(
        "addDynamicPartition", "AddDynamicPartitionSuccess",
        {"repositorySelector": _REPOSITORY, "partitionsDefName": "files", "partitionKey": "forged"},
    ),
    Mutation(
        "deleteDynamicPartitions", "DeleteDynamicPartitionsSuccess",
        {
            "repositorySelector": _REPOSITORY, "partitionsDefName": "files",
            "partitionKeys": ["a.csv"],
        },
    ),
    Mutation(
        "setAppManagedComponent", "UnauthorizedError",
        {
            "locationName": LOCATION, "componentId": "forged", "componentType": "a.B",
            "attributes": "{}",
        },
    ),
    Mutation(
        "deleteAppManagedComponent", "UnauthorizedError",
        {"locationName": LOCATION, "componentId": "forged"},
    ),
    Mutation(
        "refreshComponentState", "RefreshComponentStateError",
        {"locationName": LOCATION, "defsStateKey": "forged"},
    ),
    Mutation("setAutoMaterializePaused", "True", {"paused": True}),
    Mutation("setConcurrencyLimit", "True", {"concurrencyKey": "shop", "limit": 7}),
    Mutation("freeConcurrencySlots", "True", {"runId": "{waiting}", "stepKey": "greet"}),
    Mutation("freeConcurrencySlotsForRun", "True", {"runId": "{waiting}"}),
    Mutation("deleteConcurrencyLimit", "True", {"concurrencyKey": "shop"}),
    Mutation("deleteRun", "DeletePipelineRunSuccess", {"runId": "{ended}"}),
    Mutation("deletePipelineRun", "DeletePipelineRunSuccess", {"runId": "{waiting}"}),
    Mutation(
        "reloadRepositoryLocation", "WorkspaceLocationEntry", {"repositoryLocationName": LOCATION}
    ),
    Mutation("reloadWorkspace", "Workspace"),
    Mutation(
        "shutdownRepositoryLocation", "PythonError",  # only servers of gRPC
        {"repositoryLocationName": LOCATION},
    ),
)  # fmt: skip
"""In an order in which each of them does what it says."""
