{{/* The location whose pipelines the exporter knows, as JSON: the one named, else the first. */}}
{{- define "data-platform.metricsLocation" -}}
{{- $all := include "data-platform.locations" . | fromJsonArray }}
{{- $found := first $all }}
{{- range $all }}
{{- if eq .name $.Values.metrics.location }}
{{- $found = . }}
{{- end }}
{{- end }}
{{- toJson $found }}
{{- end }}
