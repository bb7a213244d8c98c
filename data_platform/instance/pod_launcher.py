"""Launches each run in a pod of its own, and tells which of them have died.

Named by the `dagster.yaml` of the chart. It is Dagster's launcher for Kubernetes, with what the
platform knows besides: a run holds its lock of life (`liveness`) as long as its process lives,
whatever the cluster says of its pod. Which Jobs have had their time is decided in `pod_jobs`.
"""

import logging
import threading
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, Literal

from dagster import DagsterRun, Field, IntSource, RunsFilter
from dagster._core.launcher.base import CheckRunHealthResult, WorkerStatus
from dagster._serdes import ConfigurableClassData
from dagster_k8s import K8sRunLauncher
from dagster_k8s.container_context import K8sContainerContext
from dagster_k8s.job import DagsterK8sJobConfig, get_user_defined_k8s_config
from typing_extensions import override

from data_platform.errors import PermanentError
from data_platform.instance.launcher import DEAD, MONITOR_PATIENCE_SECONDS
from data_platform.instance.liveness import Absences
from data_platform.instance.pod_amounts import with_amounts
from data_platform.instance.pod_jobs import RunJob, RunSeen, delete, due, jobs_of_runs
from data_platform.instance.pods import KUBERNETES_TAG
from data_platform.instance.run_storage import PlatformRunStorage
from data_platform.instance.worker import end_dead_run

SWEEP_SECONDS = 60.0
KEEP_SECONDS = 300
"""For which the Job of a run that succeeded is kept, where the configuration doesn't say."""
Lock = Literal["held", "missing", "gone", "none"]
"""Of a run's life: missing for a moment, gone for longer; none where the storage has no locks."""
_ENDED_BEFORE = "The pod of this run ended before the run did."
_logger = logging.getLogger("dagster.data_platform.pod_launcher")


class PlatformPodLauncher(K8sRunLauncher):
    """Dagster's launcher for Kubernetes; a pod is dead when its process is.

    In `dagster.yaml`: `run_launcher: {module: data_platform.instance.pod_launcher, class:
    PlatformPodLauncher, config: {...}}`; the configuration is K8sRunLauncher's, and
    `keep_succeeded_seconds`.
    """

    def __init__(
        self,
        inst_data: ConfigurableClassData | None = None,
        *,
        keep_succeeded_seconds: int = KEEP_SECONDS,
        **config: Any,
    ) -> None:
        super().__init__(inst_data=inst_data, **config)
        self._keep_seconds = keep_succeeded_seconds
        self._absences: Absences | None = None
        self._stop = threading.Event()
        self._sweeper: threading.Thread | None = None

    @classmethod
    @override
    def config_type(cls) -> dict[str, Any]:
        """Read by Dagster."""
        return {
            **DagsterK8sJobConfig.config_type_run_launcher(),
            "keep_succeeded_seconds": Field(
                IntSource, is_required=False, default_value=KEEP_SECONDS
            ),
        }

    @classmethod
    @override
    def from_config_value(
        cls, inst_data: ConfigurableClassData | None, config_value: Mapping[str, Any]
    ) -> "PlatformPodLauncher":
        """Called by Dagster."""
        return cls(inst_data, **config_value)

    @property
    @override
    def supports_resume_run(self) -> bool:  # pyright: ignore[reportIncompatibleMethodOverride]
        """A run that is taken up again would begin no run, and so hold no lock of life."""
        return False

    @property
    @override
    def supports_run_worker_crash_recovery(  # pyright: ignore[reportIncompatibleMethodOverride]
        self,
    ) -> bool:
        """Runs are made anew instead, see `run_retries`."""
        return False

    @override
    def get_container_context_for_run(self, dagster_run: DagsterRun) -> K8sContainerContext:
        """What the pod of a run is given: the instance's, its code location's, its own amounts.

        Raises:
            PermanentError: the run's tags ask for more than CPU and memory. Who may launch a run
                may set its tags, and isn't to choose accounts, volumes or images by them.
        """
        own = get_user_defined_k8s_config(dagster_run.tags).to_dict()
        amounts = own["container_config"].pop("resources", {})
        own.pop("merge_behavior")
        if others := [f"{part}.{name}" for part, names in own.items() for name in names]:
            raise PermanentError(
                f"tag {KUBERNETES_TAG} of the run sets {', '.join(sorted(others))}: a run's tags "
                "may set container_config.resources only; set others for all of a code location "
                "in the values of the chart"
            )
        context = K8sContainerContext.create_for_run(dagster_run, self, include_run_tags=False)
        return with_amounts(context, amounts) if amounts else context

    @override
    def check_run_worker_health(self, run: DagsterRun) -> CheckRunHealthResult:
        """Say FAILED for a run whose process has been gone for a while, RUNNING otherwise.

        A process that holds its lock lives, even where its node is cut off from the cluster and the
        Job counts as failed: a second one beside it would be worse than to wait. One without a lock
        is dead at once where its Job is over too, else after the patience that a lost connection
        needs. That the cluster can't be asked is never a death.
        """
        lock = self._lock_of(run.run_id)
        if lock == "held":
            return CheckRunHealthResult(WorkerStatus.RUNNING)
        said = super().check_run_worker_health(run)
        if lock == "none":
            return said
        if lock == "gone" or said.status == WorkerStatus.FAILED:
            about = f"{DEAD} {said.msg}" if said.msg else DEAD
            return CheckRunHealthResult(WorkerStatus.FAILED, about)
        return CheckRunHealthResult(WorkerStatus.RUNNING)

    @override
    def terminate(self, run_id: str) -> bool:
        """Delete the run's Job, and with it the pod.

        A command's run has none, and looks itself whether somebody wants it to end.
        """
        deleted = super().terminate(run_id)
        run = self._instance.get_run_by_id(run_id)
        if deleted or deleted is None or run is None or run.is_finished:
            return bool(deleted)
        return self._lock_of(run_id) == "held" or end_dead_run(self._instance, run_id, DEAD)

    def _lock_of(self, run_id: str) -> Lock:
        storage = self._instance.run_storage
        if not isinstance(storage, PlatformRunStorage):
            return "none"
        if self._absences is None:
            self._absences = Absences(storage.postgres_url, MONITOR_PATIENCE_SECONDS)
        if self._absences.dead([run_id]):
            return "gone"
        return "missing" if run_id in self._absences.suspected() else "held"

    def prepare(self) -> None:
        """Look after Jobs from now on. Called by the process that launches runs."""
        if self._sweeper is None:
            self._sweeper = threading.Thread(target=self._sweep_always, name="jobs", daemon=True)
            self._sweeper.start()

    @override
    def dispose(self) -> None:
        """Look after nothing any longer; runs go on."""
        self._stop.set()
        super().dispose()

    def sweep(self, now: datetime) -> list[str]:
        """Remove the Jobs that have had their time, and end the runs whose Job is over.

        Args:
            now: aware.

        Returns:
            The names of the Jobs that were removed.
        """
        batch, deleted = self._api_client.batch_api, list[str]()
        jobs = list(jobs_of_runs(batch, self.job_namespace, self.labels))
        runs = self._runs_of(jobs)
        for job in jobs:
            match due(job, runs.get(job.run_id), self._keep_seconds, now):
                case "delete":
                    if delete(batch, self.job_namespace, job.name):
                        deleted.append(job.name)
                case "end run":
                    end_dead_run(self._instance, job.run_id, self._why(job))
                case None:
                    pass
        return deleted

    def _sweep_always(self) -> None:
        while not self._stop.wait(SWEEP_SECONDS):
            try:
                self.sweep(datetime.now(UTC))
            except Exception:  # of the cluster or the database; it is tried again
                _logger.exception("can't look after Jobs of runs")

    def _runs_of(self, jobs: list[RunJob]) -> dict[str, RunSeen]:
        ids = sorted({job.run_id for job in jobs})
        records = self._instance.get_run_records(RunsFilter(run_ids=ids)) if ids else []
        seen: dict[str, RunSeen] = {}
        for record in records:
            run = record.dagster_run
            ended = record.end_time or record.update_timestamp.timestamp()
            at = datetime.fromtimestamp(ended, UTC) if run.is_finished else None
            seen[run.run_id] = RunSeen(run.status, at)
        return seen

    def _why(self, job: RunJob) -> str:
        run = self._instance.get_run_by_id(job.run_id)
        try:
            about = self.get_run_worker_debug_info(run, include_container_logs=False) if run else ""
        except Exception:  # what the cluster tells besides; the run ends without it
            _logger.exception("can't ask about Job %s", job.name)
            about = ""
        return f"{_ENDED_BEFORE}\n{about}" if about else _ENDED_BEFORE
