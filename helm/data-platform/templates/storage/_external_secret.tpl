{{/*
Has External Secrets make a Secret of a store's. Argument: dict root component name from keys
*/}}
{{- define "data-platform.externalSecret" -}}
apiVersion: external-secrets.io/v1
kind: ExternalSecret
metadata:
  name: {{ .name }}
  labels:
    {{- include "data-platform.labels" . | nindent 4 }}
spec:
  refreshInterval: {{ .from.refresh }}
  secretStoreRef:
    kind: {{ .from.storeKind }}
    name: {{ .from.store }}
  target:
    name: {{ .name }}
    creationPolicy: Owner
  data:
    {{- range .keys }}
    - secretKey: {{ . }}
      remoteRef:
        key: {{ $.from.path | quote }}
        property: {{ . }}
    {{- end }}
{{- end }}
