{{/* The Secret with what the proxies must keep to themselves. Argument: $ */}}
{{- define "data-platform.proxySecret" -}}
{{- default (include "data-platform.nameOf" (dict "root" . "suffix" "oauth2-proxy")) .Values.oauth2Proxy.existingSecret }}
{{- end }}

{{/*
A proxy in front of a webserver: account, Service, Deployment, disruption budget.
Argument: dict root component name host upstream people cookie cookieSecret
*/}}
{{- define "data-platform.proxy" -}}
{{- $ := .root }}
{{- $values := $.Values.oauth2Proxy }}
{{- $asksGoogle := and (eq $values.provider "google") .people.groups }}
{{ include "data-platform.serviceAccount" (merge (dict "annotations" $values.serviceAccountAnnotations) .) }}
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
      port: 4180
      targetPort: http
---
apiVersion: apps/v1
kind: Deployment
metadata:
  name: {{ .name }}
  labels:
    {{- include "data-platform.labels" . | nindent 4 }}
spec:
  replicas: {{ $values.replicas }}
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
      {{- with $values.podAnnotations }}
      annotations:
        {{- toYaml . | nindent 8 }}
      {{- end }}
    spec:
      serviceAccountName: {{ .name }}
      automountServiceAccountToken: false
      enableServiceLinks: false
      securityContext:
        {{- include "data-platform.podSecurityContext" $ | nindent 8 }}
      {{- with include "data-platform.imagePullSecrets" $ | trim }}
      {{- . | nindent 6 }}
      {{- end }}
      {{- with include "data-platform.placed" $values | trim }}
      {{- . | nindent 6 }}
      {{- end }}
      {{- include "data-platform.spread" . | nindent 6 }}
      terminationGracePeriodSeconds: 45
      containers:
        - name: oauth2-proxy
          image: {{ include "data-platform.image" (dict "root" $ "image" $values.image) }}
          imagePullPolicy: {{ $.Values.image.pullPolicy }}
          args:
            {{- include "data-platform.proxyArguments" . | nindent 12 }}
          ports:
            - {name: http, containerPort: 4180}
          env:
            {{- range $variable, $key := dict "CLIENT_ID" "client-id" "CLIENT_SECRET" "client-secret" "COOKIE_SECRET" .cookieSecret }}
            - name: OAUTH2_PROXY_{{ $variable }}
              valueFrom:
                secretKeyRef:
                  name: {{ include "data-platform.proxySecret" $ }}
                  key: {{ $key }}
            {{- end }}
          resources:
            {{- include "data-platform.resources" $values.resources | nindent 12 }}
          securityContext:
            {{- include "data-platform.securityContext" $ | nindent 12 }}
          {{- if $asksGoogle }}
          volumeMounts:
            - name: google
              mountPath: /etc/google
              readOnly: true
          {{- end }}
          startupProbe:
            httpGet: {path: /ready, port: http}
            periodSeconds: 2
            timeoutSeconds: 3
            failureThreshold: 30
          readinessProbe:
            httpGet: {path: /ready, port: http}
            periodSeconds: 5
            timeoutSeconds: 3
          livenessProbe:
            httpGet: {path: /ping, port: http}
            periodSeconds: 10
            timeoutSeconds: 5
            failureThreshold: 6
          lifecycle:
            # Until all nodes know that this pod is asked no longer.
            preStop:
              sleep: {seconds: 10}
      {{- if $asksGoogle }}
      volumes:
        - name: google
          secret:
            secretName: {{ $values.google.serviceAccountSecret }}
            defaultMode: 288 # 0440
            items:
              - {key: service-account.json, path: service-account.json}
      {{- end }}
{{- if gt (int $values.replicas) 1 }}
---
{{ include "data-platform.disruptionBudget" . }}
{{- end }}
{{- end }}

{{/* What oauth2-proxy is told: no secret among it. */}}
{{- define "data-platform.proxyArguments" -}}
{{- $values := .root.Values.oauth2Proxy -}}
- --http-address=0.0.0.0:4180
- --upstream=http://{{ .upstream }}:3000/
- --redirect-url=https://{{ .host }}/oauth2/callback
- --reverse-proxy=true
{{- range $values.trustedProxies }}
- --trusted-proxy-ip={{ . }}
{{- end }}
- --skip-provider-button=true
- --silence-ping-logging=true
# A name of its own is part of the cookie's signature: a viewer's is none of an editor's.
- --cookie-name={{ .cookie }}
- --cookie-secure=true
- --cookie-httponly=true
- --cookie-samesite=lax
- --cookie-expire={{ $values.cookieExpire }}
- --cookie-refresh={{ $values.cookieRefresh }}
# The webserver is told the e-mail address (X-Forwarded-Email), and no token.
- --pass-user-headers=true
- --pass-host-header=true
- --pass-basic-auth=false
- --pass-access-token=false
- --pass-authorization-header=false
{{- if .people.emailDomains }}
{{- range .people.emailDomains }}
- {{ printf "--email-domain=%s" . | quote }}
{{- end }}
{{- else }}
# Groups alone decide.
- "--email-domain=*"
{{- end }}
- --provider={{ $values.provider }}
{{- if eq $values.provider "google" }}
{{- range .people.groups }}
- {{ printf "--google-group=%s" . | quote }}
{{- end }}
{{- if .people.groups }}
- {{ printf "--google-admin-email=%s" $values.google.adminEmail | quote }}
- --google-service-account-json=/etc/google/service-account.json
{{- end }}
{{- else if eq $values.provider "github" }}
{{- with $values.github.organization }}
- {{ printf "--github-org=%s" . | quote }}
{{- end }}
{{- with .people.groups }}
- {{ printf "--github-team=%s" (join "," .) | quote }}
{{- end }}
{{- else }}
- {{ printf "--oidc-issuer-url=%s" $values.oidc.issuerUrl | quote }}
- {{ printf "--oidc-groups-claim=%s" $values.oidc.groupsClaim | quote }}
- {{ printf "--scope=%s" $values.oidc.scope | quote }}
- --code-challenge-method=S256
# An answer of the provider is of this sign-in and no earlier one.
- --insecure-oidc-skip-nonce=false
{{- range .people.groups }}
- {{ printf "--allowed-group=%s" . | quote }}
{{- end }}
{{- end }}
{{- end }}
