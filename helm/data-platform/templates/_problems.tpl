{{/*
What is wrong with the values and no schema can say: a JSON list of sentences, each with where, what
was found and what to do. `problems.yaml` refuses to render with any. Argument: $
*/}}
{{- define "data-platform.problems" -}}
{{- $found := list }}
{{- $v := .Values }}
{{- $locations := include "data-platform.locations" . | fromJsonArray }}
{{- $found = concat $found (include "data-platform.problemsOfLocations" (dict "root" . "locations" $locations) | fromJsonArray) }}
{{- $found = concat $found (include "data-platform.problemsOfAccess" . | fromJsonArray) }}
{{- $found = concat $found (include "data-platform.problemsOfVariables" (dict "where" "" "of" $v "also" (dict)) | fromJsonArray) }}
{{- range $where, $secret := dict "storage" $v.storage "oauth2Proxy" $v.oauth2Proxy }}
{{- if $secret.externalSecret.enabled }}
{{- if $secret.existingSecret }}
{{- $found = append $found (printf "%s.existingSecret is %q and %s.externalSecret is enabled: both would make the Secret; leave one out" $where $secret.existingSecret $where) }}
{{- end }}
{{- if not (and $secret.externalSecret.store $secret.externalSecret.path) }}
{{- $found = append $found (printf "%s.externalSecret is enabled without store and path: say which store is asked for which secret" $where) }}
{{- end }}
{{- end }}
{{- end }}
{{- if eq $v.image.tag "latest" }}
{{- $found = append $found "image.tag is latest, which moves: nobody could tell what runs, nor roll back; name a version" }}
{{- end }}
{{- if eq $v.oauth2Proxy.image.tag "latest" }}
{{- $found = append $found "oauth2Proxy.image.tag is latest, which moves; name a version" }}
{{- end }}
{{- toJson $found }}
{{- end }}

{{/* Of code locations. Argument: dict root locations */}}
{{- define "data-platform.problemsOfLocations" -}}
{{- $found := list }}
{{- $names := list }}
{{- $v := .root.Values }}
{{- range .locations }}
{{- $where := printf "codeLocations[%s]" .name }}
{{- if has .name $names }}
{{- $found = append $found (printf "codeLocations has %q twice: Dagster and Kubernetes tell locations apart by name; rename one" .name) }}
{{- end }}
{{- $names = append $names .name }}
{{- if eq (default "" .image.tag) "latest" }}
{{- $found = append $found (printf "%s.image.tag is latest, which moves: nobody could tell what runs, nor roll back; name a version" $where) }}
{{- end }}
{{- if and .quota.enabled (not .priorityClassName) }}
{{- $found = append $found (printf "%s.quota is enabled without priorityClassName: a quota counts pods by their priority class; make one for this team and name it" $where) }}
{{- end }}
{{- $found = concat $found (include "data-platform.problemsOfVariables" (dict "where" (printf "%s." $where) "of" . "also" $v) | fromJsonArray) }}
{{- end }}
{{- toJson $found }}
{{- end }}

{{/* Of variables: set twice, the chart's own, or secret. Argument: dict where of also */}}
{{- define "data-platform.problemsOfVariables" -}}
{{- $found := list }}
{{- $where := .where }}
{{- $own := list "DAGSTER_HOME" "DAGSTER_CURRENT_IMAGE" "DAGSTER_CONTAINER_CONTEXT" "DATA_PLATFORM_HOME" "DATA_PLATFORM_DATA_DIR" "DATA_PLATFORM_LOG_FORMAT" "DATA_PLATFORM_STORAGE_URL" "DATA_PLATFORM_COMPUTE_LOGS" "DATA_PLATFORM_LOCATION" "DATA_PLATFORM_PIPELINES" "LAKE_ROOT" }}
{{- $before := list }}
{{- with .also }}
{{- $before = keys (default (dict) .env) }}
{{- range .secretEnv }}
{{- $before = append $before .name }}
{{- end }}
{{- end }}
{{- $names := keys .of.env }}
{{- range $name, $value := .of.env }}
{{- if or (regexMatch "(?i)(passw|secret|token|credential|api_?key|private_?key|access_key)" $name) (regexMatch "://[^/@ ]*:[^/@ ]+@" $value) }}
{{- if not (regexMatch "(?i)_(file|path|arn|name|url)$" $name) }}
{{- $found = append $found (printf "%senv.%s looks like a secret, which everybody who reads Deployments would see: put it into a Secret and name that in %ssecretEnv" $where $name $where) }}
{{- else if regexMatch "://[^/@ ]*:[^/@ ]+@" $value }}
{{- $found = append $found (printf "%senv.%s holds a password, which everybody who reads Deployments would see: put it into a Secret and name that in %ssecretEnv" $where $name $where) }}
{{- end }}
{{- end }}
{{- end }}
{{- range .of.secretEnv }}
{{- if has .name $names }}
{{- $found = append $found (printf "%ssecretEnv has %s, which is said already: leave one out" $where .name) }}
{{- end }}
{{- $names = append $names .name }}
{{- end }}
{{- range $names | uniq | sortAlpha }}
{{- if has . $own }}
{{- $found = append $found (printf "%senv has %s, which the chart sets itself: use its value (lake, storage, pipelines)" $where .) }}
{{- else if has . $before }}
{{- $found = append $found (printf "%senv has %s, which env of all pods has too: leave one out" $where .) }}
{{- end }}
{{- end }}
{{- toJson $found }}
{{- end }}
