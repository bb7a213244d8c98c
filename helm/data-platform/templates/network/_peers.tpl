{{/* Rules of egress to where a Peer is: a list. Argument: list of peers */}}
{{- define "data-platform.egress" -}}
{{- range . }}
- ports:
    {{- range .ports }}
    - {protocol: TCP, port: {{ . }}}
    {{- end }}
  {{- if .namespace }}
  to:
    - namespaceSelector:
        matchLabels:
          kubernetes.io/metadata.name: {{ .namespace }}
      {{- with .podLabels }}
      podSelector:
        matchLabels:
          {{- toYaml . | nindent 10 }}
      {{- end }}
  {{- else if .cidrs }}
  {{- $excluded := .excluded }}
  to:
    {{- range .cidrs }}
    - ipBlock:
        cidr: {{ . }}
        {{- if and (eq . "0.0.0.0/0") $excluded }}
        except:
          {{- toYaml $excluded | nindent 10 }}
        {{- end }}
    {{- end }}
  {{- end }}
{{- end }}
{{- end }}

{{/* Egress to pods of this release: a list of one rule. Argument: dict root component port [location] */}}
{{- define "data-platform.egressTo" -}}
- ports:
    - {protocol: TCP, port: {{ .port }}}
  to:
    - podSelector:
        matchLabels:
          {{- include "data-platform.selectorLabels" . | nindent 10 }}
{{- end }}

{{/* Ingress from pods of this release. Argument: dict root components port */}}
{{- define "data-platform.ingressFrom" -}}
- ports:
    - {protocol: TCP, port: {{ .port }}}
  from:
    {{- range .components }}
    - podSelector:
        matchLabels:
          {{- include "data-platform.selectorLabels" (dict "root" $.root "component" .) | nindent 10 }}
    {{- end }}
{{- end }}

{{/* Ingress from pods of another namespace. Argument: dict from port */}}
{{- define "data-platform.ingressFromOutside" -}}
- ports:
    - {protocol: TCP, port: {{ .port }}}
  from:
    - namespaceSelector:
        matchLabels:
          kubernetes.io/metadata.name: {{ .from.namespace }}
      {{- with .from.podLabels }}
      podSelector:
        matchLabels:
          {{- toYaml . | nindent 10 }}
      {{- end }}
{{- end }}

{{/*
What the pods of a component may connect to and who may connect to them; empty rules are left out.
Argument: dict root component suffix ingress egress [location], both as text of a list
*/}}
{{- define "data-platform.networkPolicy" -}}
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata:
  name: {{ include "data-platform.nameOf" . }}
  labels:
    {{- include "data-platform.labels" . | nindent 4 }}
spec:
  podSelector:
    matchLabels:
      {{- include "data-platform.selectorLabels" . | nindent 6 }}
  policyTypes: [Ingress, Egress]
  {{- with .ingress | trim }}
  ingress:
    {{- . | nindent 4 }}
  {{- end }}
  {{- with .egress | trim }}
  egress:
    {{- . | nindent 4 }}
  {{- end }}
{{- end }}
