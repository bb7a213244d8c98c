{{/*
A webserver: account, Service, Deployment, disruption budget.
Argument: dict root component values name readOnly
*/}}
{{- define "data-platform.webserver" -}}
{{- $ := .root }}
{{ include "data-platform.serviceAccount" (merge (dict "annotations" .values.serviceAccountAnnotations) .) }}
---
apiVersion: v1
kind: Service
metadata:
  name: {{ .name }}
  labels:
    {{- include "data-platform.labels" . | nindent 4 }}
spec:
  selector:
    {{- include "data-platform.selectorLabels" . | nindent 4 }}
  ports:
    - name: http
      port: 3000
      targetPort: http
---
apiVersion: apps/v1
kind: Deployment
metadata:
  name: {{ .name }}
  labels:
    {{- include "data-platform.labels" . | nindent 4 }}
spec:
  replicas: {{ .values.replicas }}
  revisionHistoryLimit: 5
  strategy:
    type: RollingUpdate
    rollingUpdate: {maxUnavailable: 0, maxSurge: 1}
  selector:
    matchLabels:
      {{- include "data-platform.selectorLabels" . | nindent 6 }}
  template:
    metadata:
      labels:
        {{- include "data-platform.podLabels" . | nindent 8 }}
      annotations:
        checksum/dagster: {{ include "data-platform.dagsterYaml" $ | sha256sum }}
        checksum/workspace: {{ include "data-platform.workspaceYaml" $ | sha256sum }}
        {{- with .values.podAnnotations }}
        {{- toYaml . | nindent 8 }}
        {{- end }}
    spec:
      serviceAccountName: {{ .name }}
      # Editors may end runs: their Jobs are deleted from here.
      automountServiceAccountToken: {{ not .readOnly }}
      enableServiceLinks: false
      securityContext:
        {{- include "data-platform.podSecurityContext" $ | nindent 8 }}
      {{- with include "data-platform.imagePullSecrets" $ | trim }}
      {{- . | nindent 6 }}
      {{- end }}
      {{- with include "data-platform.placed" .values | trim }}
      {{- . | nindent 6 }}
      {{- end }}
      {{- include "data-platform.spread" . | nindent 6 }}
      # preStop, then open requests.
      terminationGracePeriodSeconds: {{ add 20 .values.graceSeconds }}
      containers:
        - name: webserver
          image: {{ include "data-platform.image" (dict "root" $) }}
          imagePullPolicy: {{ $.Values.image.pullPolicy }}
          command: [data-platform, webserver]
          args:
            - --host=0.0.0.0
            - --port=3000
            - --workspace=/opt/data-platform/home/workspace.yaml
            - --grace={{ .values.graceSeconds }}
            {{- if .readOnly }}
            - --read-only
            {{- end }}
            {{- if $.Values.oauth2Proxy.enabled }}
            # Nobody but the proxy reaches this pod, so nobody else can say who they are.
            - --user-header=X-Forwarded-Email
            {{- end }}
          ports:
            - {name: http, containerPort: 3000}
          env:
            {{- include "data-platform.environment" (dict "root" $) | nindent 12 }}
          resources:
            {{- include "data-platform.resources" .values.resources | nindent 12 }}
          securityContext:
            {{- include "data-platform.securityContext" $ | nindent 12 }}
          volumeMounts:
            {{- include "data-platform.volumeMounts" $ | nindent 12 }}
          # Two minutes to start.
          startupProbe:
            httpGet: {path: /server_info, port: http}
            periodSeconds: 3
            timeoutSeconds: 3
            failureThreshold: 40
          readinessProbe:
            httpGet: {path: /server_info, port: http}
            periodSeconds: 5
            timeoutSeconds: 3
          livenessProbe:
            httpGet: {path: /server_info, port: http}
            periodSeconds: 20
            timeoutSeconds: 10
            failureThreshold: 6
          lifecycle:
            # Until all nodes know that this pod is asked no longer.
            preStop:
              sleep: {seconds: 10}
      volumes:
        {{- include "data-platform.volumes" $ | nindent 8 }}
{{- if gt (int .values.replicas) 1 }}
---
{{ include "data-platform.disruptionBudget" . }}
{{- end }}
{{- end }}
