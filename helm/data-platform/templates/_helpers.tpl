{{/*
What all templates share: names, labels, images, the environment, security contexts, volumes.

Arguments are a dict: `root` is always `$`; `component` is one of webserver, webserver-readonly,
daemon, code-location, metrics, migration, run, oauth2-proxy, oauth2-proxy-viewers; `location` is an
entry of `codeLocations`.
*/}}

{{/* The chart's name, or what nameOverride says. Argument: $ */}}
{{- define "data-platform.name" -}}
{{- default .Chart.Name .Values.nameOverride | trunc 63 | trimSuffix "-" }}
{{- end }}

{{/* What all names begin with: the release, or what fullnameOverride says. Argument: $ */}}
{{- define "data-platform.fullname" -}}
{{- default .Release.Name .Values.fullnameOverride | trunc 53 | trimSuffix "-" }}
{{- end }}

{{/*
A name within Kubernetes' 63 characters. What is too long ends with a hash of the whole, so that
two long names stay two. Argument: (dict "root" $ "suffix" "webserver")
*/}}
{{- define "data-platform.nameOf" -}}
{{- $name := printf "%s-%s" (include "data-platform.fullname" .root) .suffix }}
{{- if gt (len $name) 63 }}
{{- $name = printf "%s-%s" ($name | trunc 54 | trimSuffix "-") (sha256sum $name | trunc 8) }}
{{- end }}
{{- $name }}
{{- end }}

{{/* The ConfigMap with dagster.yaml and workspace.yaml. Argument: $ */}}
{{- define "data-platform.instanceConfigMap" -}}
{{- printf "%s-instance" (include "data-platform.fullname" .) }}
{{- end }}

{{/* The Deployment, Service and account of a location. Argument: (dict "root" $ "location" .) */}}
{{- define "data-platform.locationName" -}}
{{- include "data-platform.nameOf" (dict "root" .root "suffix" (printf "location-%s" .location.name)) }}
{{- end }}

{{/*
The account of run pods: of a location with `location`, else the one that dagster.yaml names for
runs that say nothing. Argument: (dict "root" $) or (dict "root" $ "location" .)
*/}}
{{- define "data-platform.runServiceAccount" -}}
{{- if .location }}
{{- include "data-platform.nameOf" (dict "root" .root "suffix" (printf "run-%s" .location.name)) }}
{{- else }}
{{- include "data-platform.nameOf" (dict "root" .root "suffix" "run") }}
{{- end }}
{{- end }}

{{/* What all pods of the release have, runs too. Argument: $ */}}
{{- define "data-platform.ofRelease" -}}
app.kubernetes.io/name: {{ include "data-platform.name" . }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end }}

{{/* What selects the pods of a component. Argument: (dict "root" $ "component" c ["location" l]) */}}
{{- define "data-platform.selectorLabels" -}}
{{ include "data-platform.ofRelease" .root }}
app.kubernetes.io/component: {{ .component }}
{{- if .location }}
data-platform/location: {{ .location.name }}
{{- end }}
{{- end }}

{{/* Labels of all objects. Argument: as of selectorLabels */}}
{{- define "data-platform.labels" -}}
{{ include "data-platform.selectorLabels" . }}
app.kubernetes.io/version: {{ .root.Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .root.Release.Service }}
app.kubernetes.io/part-of: data-platform
helm.sh/chart: {{ printf "%s-%s" .root.Chart.Name (.root.Chart.Version | replace "+" "_") }}
{{- end }}

{{/* Labels of pods: no versions, which would replace pods that are as they were. Argument: as of selectorLabels */}}
{{- define "data-platform.podLabels" -}}
{{ include "data-platform.selectorLabels" . }}
app.kubernetes.io/managed-by: {{ .root.Release.Service }}
app.kubernetes.io/part-of: data-platform
{{- end }}

{{/*
An image, by digest where there is one: a tag may move. What a location leaves empty is the
chart's. Argument: (dict "root" $) or (dict "root" $ "image" .image)
*/}}
{{- define "data-platform.image" -}}
{{- $own := default (dict) .image }}
{{- $image := .root.Values.image }}
{{- if $own.repository }}
{{- $image = $own }}
{{- else if or $own.tag $own.digest }}
{{- $image = dict "repository" $image.repository "tag" $own.tag "digest" $own.digest }}
{{- end }}
{{- if $image.digest }}
{{- printf "%s@%s" $image.repository $image.digest }}
{{- else }}
{{- printf "%s:%s" $image.repository (default .root.Chart.AppVersion $image.tag) }}
{{- end }}
{{- end }}

{{/* Secrets with which images are pulled, for a pod's spec; nothing without. Argument: $ */}}
{{- define "data-platform.imagePullSecrets" -}}
{{- with .Values.image.pullSecrets }}
imagePullSecrets:
  {{- range . }}
  - name: {{ . }}
  {{- end }}
{{- end }}
{{- end }}

{{/* The Secret with the URL of Dagster's database. Argument: $ */}}
{{- define "data-platform.storageSecret" -}}
{{- default (printf "%s-storage" (include "data-platform.fullname" .)) .Values.storage.existingSecret }}
{{- end }}

{{/*
The environment of all pods: a list of variables. Secrets come by reference. With `location`, also
what the location adds. Runs get the same. Argument: (dict "root" $ ["location" l])
*/}}
{{- define "data-platform.environment" -}}
{{- $values := .root.Values -}}
- name: DAGSTER_HOME
  value: /opt/data-platform/home
- name: DATA_PLATFORM_COMPUTE_LOGS
  value: {{ $values.lake.computeLogs | quote }}
{{ include "data-platform.databaseEnvironment" .root }}
{{- include "data-platform.variables" $values }}
{{- if .location }}
{{ include "data-platform.locationEnvironment" . }}
{{- end }}
{{- end }}

{{/* What reaches Dagster's database, and nothing else. Argument: $ */}}
{{- define "data-platform.databaseEnvironment" -}}
- name: DATA_PLATFORM_HOME
  value: /opt/data-platform
- name: DATA_PLATFORM_DATA_DIR
  value: /var/lib/data-platform
- name: DATA_PLATFORM_LOG_FORMAT
  value: json
- name: DATA_PLATFORM_STORAGE_URL
  valueFrom:
    secretKeyRef:
      name: {{ include "data-platform.storageSecret" . }}
      key: {{ .Values.storage.key }}
{{- end }}

{{/* Variables with their values, and by reference. Argument: what has `env` and `secretEnv` */}}
{{- define "data-platform.variables" -}}
{{- range $name, $value := .env }}
- name: {{ $name }}
  value: {{ $value | quote }}
{{- end }}
{{- range .secretEnv }}
- name: {{ .name }}
  valueFrom:
    secretKeyRef:
      name: {{ .secret }}
      key: {{ .key }}
{{- end }}
{{- end }}

{{/* What a location adds to the environment of its pods: server, runs, metrics. */}}
{{- define "data-platform.locationEnvironment" -}}
- name: DATA_PLATFORM_LOCATION
  value: {{ .location.name }}
- name: LAKE_ROOT
  value: {{ default .root.Values.lake.root .location.lakeRoot | quote }}
{{- with .location.pipelines }}
- name: DATA_PLATFORM_PIPELINES
  value: {{ . | quote }}
{{- end }}
{{- include "data-platform.variables" .location }}
{{- end }}

{{/*
All code locations, each with the defaults for what it leaves out: a JSON list.
Use: range $location := include "data-platform.locations" $ | fromJsonArray. Argument: $
*/}}
{{- define "data-platform.locations" -}}
{{- $all := list }}
{{- range .Values.codeLocations }}
{{- $all = append $all (mergeOverwrite (deepCopy $.Values.locationDefaults) (deepCopy .)) }}
{{- end }}
{{- toJson $all }}
{{- end }}

{{/* Limits of runs at once, of each location that has one: a YAML list for dagster.yaml, or nothing. Argument: $ */}}
{{- define "data-platform.runLimits" -}}
{{- range $location := include "data-platform.locations" . | fromJsonArray }}
{{- with $location.queue.maxConcurrentRuns }}
- {key: dagster/code_location, value: {{ $location.name | quote }}, limit: {{ . }}}
{{- end }}
{{- end }}
{{- end }}

{{/* Of pods. The image's user and group are 10001. */}}
{{- define "data-platform.podSecurityContext" -}}
runAsNonRoot: true
runAsUser: 10001
runAsGroup: 10001
fsGroup: 10001
fsGroupChangePolicy: OnRootMismatch
seccompProfile:
  type: RuntimeDefault
{{- end }}

{{/* Of containers. */}}
{{- define "data-platform.securityContext" -}}
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
runAsNonRoot: true
capabilities:
  drop: [ALL]
{{- end }}

{{/* dagster.yaml and workspace.yaml, and the only two places that can be written to. Argument: $ */}}
{{- define "data-platform.volumes" -}}
- name: instance
  configMap:
    name: {{ include "data-platform.instanceConfigMap" . }}
{{ include "data-platform.writableVolumes" . }}
{{- end }}

{{- define "data-platform.volumeMounts" -}}
- name: instance
  mountPath: /opt/data-platform/home
  readOnly: true
{{ include "data-platform.writableMounts" . }}
{{- end }}

{{- define "data-platform.writableVolumes" -}}
- name: tmp
  emptyDir:
    sizeLimit: {{ .Values.scratch.tmp }}
- name: scratch
  emptyDir:
    sizeLimit: {{ .Values.scratch.data }}
{{- end }}

{{- define "data-platform.writableMounts" -}}
- name: tmp
  mountPath: /tmp
- name: scratch
  mountPath: /var/lib/data-platform
{{- end }}

{{/*
CPU and memory; no limit of CPU where none is told. Argument: `resources` of the values
*/}}
{{- define "data-platform.resources" -}}
requests:
  cpu: {{ .requests.cpu | quote }}
  memory: {{ .requests.memory | quote }}
limits:
  {{- with .limits.cpu }}
  cpu: {{ . | quote }}
  {{- end }}
  memory: {{ .limits.memory | quote }}
{{- end }}

{{/* On which nodes pods may be, for a pod's spec. Argument: what has the values */}}
{{- define "data-platform.placed" -}}
{{- with .nodeSelector }}
nodeSelector:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .tolerations }}
tolerations:
  {{- range . }}
  - operator: {{ default "Equal" .operator }}
    {{- with .key }}
    key: {{ . | quote }}
    {{- end }}
    {{- with .value }}
    value: {{ . | quote }}
    {{- end }}
    {{- with .effect }}
    effect: {{ . }}
    {{- end }}
  {{- end }}
{{- end }}
{{- with .affinity }}
affinity:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .priorityClassName }}
priorityClassName: {{ . }}
{{- end }}
{{- end }}

{{/*
Pods of one component on several nodes and zones, as far as there are any. Argument: as of
selectorLabels
*/}}
{{- define "data-platform.spread" -}}
topologySpreadConstraints:
  {{- range $key := list "kubernetes.io/hostname" "topology.kubernetes.io/zone" }}
  - topologyKey: {{ $key }}
    maxSkew: 1
    whenUnsatisfiable: ScheduleAnyway
    # Of this version alone: while another rolls out, its pods don't count.
    matchLabelKeys: [pod-template-hash]
    labelSelector:
      matchLabels:
        {{- include "data-platform.selectorLabels" $ | nindent 8 }}
  {{- end }}
{{- end }}

{{/* An account, whose token pods ask for by themselves. Argument: dict root component name annotations [location] */}}
{{- define "data-platform.serviceAccount" -}}
apiVersion: v1
kind: ServiceAccount
metadata:
  name: {{ .name }}
  labels:
    {{- include "data-platform.labels" . | nindent 4 }}
  {{- with .annotations }}
  annotations:
    {{- toYaml . | nindent 4 }}
  {{- end }}
automountServiceAccountToken: false
{{- end }}

{{/* At most one pod less while nodes are emptied. Argument: dict root component name [location] */}}
{{- define "data-platform.disruptionBudget" -}}
apiVersion: policy/v1
kind: PodDisruptionBudget
metadata:
  name: {{ .name }}
  labels:
    {{- include "data-platform.labels" . | nindent 4 }}
spec:
  maxUnavailable: 1
  # A pod that isn't ready holds no node back.
  unhealthyPodEvictionPolicy: AlwaysAllow
  selector:
    matchLabels:
      {{- include "data-platform.selectorLabels" . | nindent 6 }}
{{- end }}

{{/* Gives an account the Role of the same name. Argument: dict root component name account [location] */}}
{{- define "data-platform.roleBinding" -}}
apiVersion: rbac.authorization.k8s.io/v1
kind: RoleBinding
metadata:
  name: {{ .name }}
  labels:
    {{- include "data-platform.labels" . | nindent 4 }}
roleRef:
  apiGroup: rbac.authorization.k8s.io
  kind: Role
  name: {{ .name }}
subjects:
  - kind: ServiceAccount
    name: {{ .account }}
    namespace: {{ .root.Release.Namespace }}
{{- end }}

{{/*
What a code server reads of dagster.yaml, for its checksum: without what only the daemon and the
webservers act on, so that limits or images of others don't replace it. Argument: $
*/}}
{{- define "data-platform.dagsterYamlOfCode" -}}
{{- $all := include "data-platform.dagsterYaml" . | fromYaml }}
{{- omit $all "run_launcher" "run_coordinator" "concurrency" "run_monitoring" "run_retries" "sensors" "schedules" "backfills" "auto_materialize" "retention" | toJson }}
{{- end }}
