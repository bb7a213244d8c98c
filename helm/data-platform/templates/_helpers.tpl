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

{{/* What selects the pods of a component. Argument: (dict "root" $ "component" c ["location" l]) */}}
{{- define "data-platform.selectorLabels" -}}
app.kubernetes.io/name: {{ include "data-platform.name" .root }}
app.kubernetes.io/instance: {{ .root.Release.Name }}
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

{{/*
An image, by digest where there is one: a tag may move. What a location leaves empty is the
chart's. Argument: (dict "root" $) or (dict "root" $ "image" .image)
*/}}
{{- define "data-platform.image" -}}
{{- $chart := .root.Values.image }}
{{- $own := default (dict) .image }}
{{- $repository := default $chart.repository $own.repository }}
{{- $other := and $own.repository (ne $own.repository $chart.repository) }}
{{- $digest := default (ternary "" $chart.digest (or $other (ne (default "" $own.tag) ""))) $own.digest }}
{{- $tag := default (default .root.Chart.AppVersion (ternary "" $chart.tag $other)) $own.tag }}
{{- if $digest }}
{{- printf "%s@%s" $repository $digest }}
{{- else }}
{{- printf "%s:%s" $repository $tag }}
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
- name: DATA_PLATFORM_HOME
  value: /opt/data-platform
- name: DATA_PLATFORM_DATA_DIR
  value: /var/lib/data-platform
- name: DATA_PLATFORM_LOG_FORMAT
  value: json
- name: LAKE_ROOT
  value: {{ $values.lake.root | quote }}
- name: DATA_PLATFORM_COMPUTE_LOGS
  value: {{ $values.lake.computeLogs | quote }}
- name: DATA_PLATFORM_STORAGE_URL
  valueFrom:
    secretKeyRef:
      name: {{ include "data-platform.storageSecret" .root }}
      key: {{ $values.storage.key }}
{{- include "data-platform.variables" $values }}
{{- if .location }}
{{ include "data-platform.locationEnvironment" . }}
{{- end }}
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

{{/* What a location adds to the environment, of its server and of its runs. */}}
{{- define "data-platform.locationEnvironment" -}}
- name: DATA_PLATFORM_LOCATION
  value: {{ .location.name }}
{{- with .location.pipelines }}
- name: DATA_PLATFORM_PIPELINES
  value: {{ . | quote }}
{{- end }}
{{- include "data-platform.variables" .location }}
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

{{/* dagster.yaml, and the only two places that can be written to. Argument: $ */}}
{{- define "data-platform.volumes" -}}
- name: instance
  configMap:
    name: {{ include "data-platform.instanceConfigMap" . }}
- name: tmp
  emptyDir:
    sizeLimit: {{ .Values.scratch.tmp }}
- name: scratch
  emptyDir:
    sizeLimit: {{ .Values.scratch.data }}
{{- end }}

{{- define "data-platform.volumeMounts" -}}
- name: instance
  mountPath: /opt/data-platform/home
  readOnly: true
- name: tmp
  mountPath: /tmp
- name: scratch
  mountPath: /var/lib/data-platform
{{- end }}
