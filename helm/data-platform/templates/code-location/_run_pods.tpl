{{/*
What Dagster makes pods of a location's runs of, besides what dagster.yaml says of all runs: its
own variables, account, labels, CPU and memory, and place. Secrets stay references.
Argument: (dict "root" $ "location" l)
*/}}
{{- define "data-platform.containerContext" -}}
{{- $run := dict "root" .root "component" "run" "location" .location }}
k8s:
  service_account_name: {{ include "data-platform.runServiceAccount" $run }}
  env:
    {{- include "data-platform.locationEnvironment" . | nindent 4 }}
  labels:
    {{- include "data-platform.podLabels" $run | nindent 4 }}
  resources:
    {{- include "data-platform.resources" (include "data-platform.runResources" . | fromYaml) | nindent 4 }}
  {{- with .location.imagePullSecrets }}
  image_pull_secrets:
    {{- range . }}
    - name: {{ . }}
    {{- end }}
  {{- end }}
  run_k8s_config:
    pod_spec_config:
      automount_service_account_token: {{ .root.Values.runs.stepPods }}
      {{- with include "data-platform.placed" .location | trim }}
      {{- . | nindent 6 }}
      {{- end }}
{{- end }}

{{/* CPU and memory of a location's runs: its own, else those of all runs. */}}
{{- define "data-platform.runResources" -}}
{{- $all := .root.Values.runs.resources }}
{{- range $kind, $own := .location.runResources }}
{{ $kind }}:
  cpu: {{ default (get $all $kind).cpu $own.cpu | quote }}
  memory: {{ default (get $all $kind).memory $own.memory | quote }}
{{- end }}
{{- end }}

{{/* Secrets of the chart's registries and of the location's. */}}
{{- define "data-platform.pullSecretsOf" -}}
{{- with concat .root.Values.image.pullSecrets .location.imagePullSecrets | uniq }}
imagePullSecrets:
  {{- range . }}
  - name: {{ . }}
  {{- end }}
{{- end }}
{{- end }}

{{/* Amounts of a ResourceQuota. Argument: what has pods, cpu and memory */}}
{{- define "data-platform.hard" -}}
pods: {{ .pods | toString | quote }}
{{- with .cpu }}
requests.cpu: {{ . | quote }}
{{- end }}
{{- with .memory }}
requests.memory: {{ . | quote }}
{{- end }}
{{- end }}
