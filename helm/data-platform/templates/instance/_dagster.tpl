{{/*
Dagster's instance of this release. What a location has of its own (image, account, variables,
amounts) comes with its server: "data-platform.containerContext". Argument: $
*/}}
{{- define "data-platform.dagsterYaml" -}}
{{- $instance := .Values.instance -}}
{{- $run := dict "root" . "component" "run" -}}
{{- if le (int $instance.runMonitoring.cancelTimeoutSeconds) (int $instance.runJobs.graceSeconds) }}
{{- fail (printf "instance.runMonitoring.cancelTimeoutSeconds is %d, no more than instance.runJobs.graceSeconds, %d: a run that ends within its grace would be taken for dead; make it greater" (int $instance.runMonitoring.cancelTimeoutSeconds) (int $instance.runJobs.graceSeconds)) }}
{{- end -}}
storage: # DATA_PLATFORM_STORAGE_URL
  custom: {module: data_platform.instance.storage, class: PlatformStorage, config: {}}
compute_logs: # DATA_PLATFORM_COMPUTE_LOGS
  {module: data_platform.instance.compute_logs, class: PlatformComputeLogs, config: {}}
local_artifact_storage: # DATA_PLATFORM_DATA_DIR
  {module: data_platform.instance.storage, class: PlatformArtifacts, config: {}}

run_launcher: # a pod for each run
  module: data_platform.instance.pod_launcher
  class: PlatformPodLauncher
  config:
    job_namespace: {{ .Release.Namespace }}
    service_account_name: {{ include "data-platform.runServiceAccount" $run }}
    job_image: {{ include "data-platform.image" $run | quote }} # of a location that tells none
    image_pull_policy: {{ .Values.image.pullPolicy }}
    {{- with .Values.image.pullSecrets }}
    image_pull_secrets:
      {{- range . }}
      - name: {{ . }}
      {{- end }}
    {{- end }}
    load_incluster_config: true
    instance_config_map: {{ include "data-platform.instanceConfigMap" . }}
    dagster_home: /opt/data-platform/home
    fail_pod_on_run_failure: true # so that what is kept of Jobs is what failed
    keep_succeeded_seconds: {{ int $instance.runJobs.keepSucceededSeconds }}
    labels:
      {{- include "data-platform.selectorLabels" $run | nindent 6 }}
    resources:
      {{- include "data-platform.resources" .Values.runs.resources | nindent 6 }}
    security_context:
      {{- include "data-platform.securityContext" . | nindent 6 }}
    volumes:
      {{- include "data-platform.volumes" . | nindent 6 }}
    volume_mounts:
      {{- include "data-platform.volumeMounts" . | nindent 6 }}
    run_k8s_config:
      container_config:
        env:
          {{- range include "data-platform.environment" $run | fromYamlArray }}
          {{- if ne .name "DAGSTER_HOME" }}{{/* which Dagster adds itself */}}
          - {{ toYaml . | nindent 12 | trim }}
          {{- end }}
          {{- end }}
      pod_template_spec_metadata:
        annotations:
          # A pod that is moved is a run that is made anew.
          cluster-autoscaler.kubernetes.io/safe-to-evict: "false"
          {{- with .Values.runs.podAnnotations }}
          {{- toYaml . | nindent 10 }}
          {{- end }}
      pod_spec_config:
        # Only pods that start others for their steps speak to the cluster.
        automount_service_account_token: {{ .Values.runs.stepPods }}
        enable_service_links: false
        termination_grace_period_seconds: {{ int $instance.runJobs.graceSeconds }}
        security_context:
          {{- include "data-platform.podSecurityContext" . | nindent 10 }}
        {{- with include "data-platform.placed" .Values.runs | trim }}
        {{- . | nindent 8 }}
        {{- end }}
      job_spec_config:
        # A run that died is made anew by Dagster, never by Kubernetes.
        backoff_limit: 0
        ttl_seconds_after_finished: {{ int $instance.runJobs.keepFailedSeconds }}

run_coordinator: # Dagster's queue, which knows priority and max_active_runs of pipelines
  module: data_platform.instance.coordinator
  class: PlatformRunCoordinator
  config:
    dequeue_interval_seconds: {{ int $instance.queue.intervalSeconds }}
    max_user_code_failure_retries: {{ int $instance.queue.codeServerRetries }}
    user_code_failure_retry_delay: 10
    tag_concurrency_limits:
      - {key: dagster/backfill, value: {applyLimitPerUniqueValue: true}, limit: {{ int $instance.queue.maxRunsPerBackfill }}}
      {{- with include "data-platform.runLimits" . | trim }}
      {{- . | nindent 6 }}
      {{- end }}
      {{- range $instance.queue.tagLimits }}
      - key: {{ .key | quote }}
        {{- if .value }}
        value: {{ .value | quote }}
        {{- else if .eachValue }}
        value: {applyLimitPerUniqueValue: true}
        {{- end }}
        limit: {{ int .limit }}
      {{- end }}
concurrency:
  runs:
    max_concurrent_runs: {{ int $instance.queue.maxConcurrentRuns }}
  pools:
    granularity: op
    default_limit: {{ int $instance.queue.poolDefaultLimit }}

run_monitoring:
  enabled: true
  poll_interval_seconds: {{ int $instance.runMonitoring.pollIntervalSeconds }}
  start_timeout_seconds: {{ int $instance.runMonitoring.startTimeoutSeconds }}
  cancel_timeout_seconds: {{ int $instance.runMonitoring.cancelTimeoutSeconds }}
  {{- with $instance.runMonitoring.maxRuntimeSeconds }}
  max_runtime_seconds: {{ int . }}
  {{- end }}
  max_resume_run_attempts: 0 # a run that died is made anew
  free_slots_after_run_end_seconds: 1
run_retries:
  {enabled: true, max_retries: {{ int $instance.maxRunRetries }}, retry_on_asset_or_op_failure: false}

sensors:
  use_threads: true
  num_workers: {{ int $instance.threads.sensors }}
  num_submit_workers: {{ int $instance.threads.sensors }}
schedules: {use_threads: true, num_workers: {{ int $instance.threads.schedules }}}
backfills: {use_threads: true, num_workers: {{ int $instance.threads.backfills }}}
auto_materialize: {use_threads: true, num_workers: {{ int $instance.threads.automations }}}
freshness: {enabled: true}

retention: # of ticks, in days
  schedule: {purge_after_days: {{ int $instance.ticks.schedules }}}
  sensor: {purge_after_days: {{ include "data-platform.tickDays" $instance.ticks.sensors }}}
  auto_materialize: {purge_after_days: {{ include "data-platform.tickDays" $instance.ticks.automations }}}

telemetry: {enabled: false}
nux: {enabled: false}
{{- end }}

{{- define "data-platform.tickDays" -}}
{skipped: {{ int .skipped }}, success: {{ int .success }}, failure: {{ int .failure }}}
{{- end }}

{{/* Where webservers and the daemon find the servers of code locations. Argument: $ */}}
{{- define "data-platform.workspaceYaml" -}}
load_from:
{{- range $location := include "data-platform.locations" . | fromJsonArray }}
  - grpc_server:
      host: {{ include "data-platform.locationName" (dict "root" $ "location" $location) }}
      port: 4000
      location_name: {{ $location.name }}
{{- end }}
{{- end }}
