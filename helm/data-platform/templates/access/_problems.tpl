{{/* What is wrong with how people come in: a JSON list. Argument: $ */}}
{{- define "data-platform.problemsOfAccess" -}}
{{- $found := list }}
{{- $v := .Values }}
{{- $production := eq $v.mode "production" }}
{{- $proxies := $v.oauth2Proxy.enabled }}
{{- $viewers := $v.readOnlyWebserver.enabled }}
{{- with $v.ingress }}
{{- if .enabled }}
{{- if and $production (not .tls.enabled) }}
{{- $found = append $found "ingress.tls.enabled is false in production: sign-ins and data would go over the network in the clear; enable it, or set mode to development" }}
{{- end }}
{{- if and $production (not $proxies) }}
{{- $found = append $found "ingress is enabled without oauth2Proxy in production: anybody who reaches it could start and end runs; enable oauth2Proxy, or set mode to development" }}
{{- end }}
{{- if and $proxies (not .tls.enabled) }}
{{- $found = append $found "ingress.tls.enabled is false with oauth2Proxy: browsers send its cookie over TLS alone, so nobody could sign in; enable it" }}
{{- end }}
{{- if not .host }}
{{- $found = append $found "ingress is enabled without host: say under which name people reach the UI" }}
{{- end }}
{{- if and $viewers (not .viewersHost) }}
{{- $found = append $found "readOnlyWebserver is enabled and ingress has no viewersHost: nobody could reach it; name it" }}
{{- end }}
{{- end }}
{{- if and .host (eq .host .viewersHost) }}
{{- $found = append $found (printf "ingress.host and ingress.viewersHost are both %q: editors and viewers need a name each" .host) }}
{{- end }}
{{- if and .viewersHost (not $viewers) }}
{{- $found = append $found (printf "ingress.viewersHost is %q without a server behind it: enable readOnlyWebserver" .viewersHost) }}
{{- end }}
{{- end }}
{{- if $proxies }}
{{- $found = concat $found (include "data-platform.problemsOfProxies" . | fromJsonArray) }}
{{- end }}
{{- toJson $found }}
{{- end }}

{{/* Of signing in: a JSON list. Argument: $ */}}
{{- define "data-platform.problemsOfProxies" -}}
{{- $found := list }}
{{- $v := .Values }}
{{- $proxy := $v.oauth2Proxy }}
{{- if not $v.networkPolicy.enabled }}
{{- $found = append $found "oauth2Proxy is enabled without networkPolicy: any pod could go around it and say who it is; enable networkPolicy" }}
{{- end }}
{{- if not $v.ingress.host }}
{{- $found = append $found "oauth2Proxy is enabled without ingress.host: people couldn't be sent back after signing in; name it" }}
{{- end }}
{{- if and $v.readOnlyWebserver.enabled (not $v.ingress.viewersHost) }}
{{- $found = append $found "oauth2Proxy is enabled with readOnlyWebserver and without ingress.viewersHost: viewers couldn't be sent back after signing in; name it" }}
{{- end }}
{{- $kinds := dict "editors" $proxy.editors }}
{{- if $v.readOnlyWebserver.enabled }}
{{- $_ := set $kinds "viewers" $proxy.viewers }}
{{- end }}
{{- range $kind, $people := $kinds }}
{{- $where := printf "oauth2Proxy.%s" $kind }}
{{- $open := or (has "*" $people.emailDomains) (has "gmail.com" $people.emailDomains) (has "googlemail.com" $people.emailDomains) (has "outlook.com" $people.emailDomains) (has "hotmail.com" $people.emailDomains) }}
{{- $member := or $people.groups (and (eq $proxy.provider "github") $proxy.github.organization) }}
{{- if not (or $people.emailDomains $member) }}
{{- $found = append $found (printf "%s has neither emailDomains nor groups: say who they are" $where) }}
{{- end }}
{{- if and $open (not $member) }}
{{- $found = append $found (printf "%s.emailDomains is %s, which is anybody: name your own domain, or groups" $where (join ", " $people.emailDomains)) }}
{{- end }}
{{- if eq $proxy.provider "google" }}
{{- if and $people.groups (not (and $proxy.google.adminEmail $proxy.google.serviceAccountSecret)) }}
{{- $found = append $found (printf "%s.groups needs google.adminEmail and google.serviceAccountSecret: Google tells groups to such an account alone" $where) }}
{{- end }}
{{- else if eq $proxy.provider "github" }}
{{- range $people.groups }}
{{- if not (regexMatch "^[^:, ]+:[^:, ]+$" .) }}
{{- $found = append $found (printf "%s.groups has %q: a team of GitHub is organization:team" $where .) }}
{{- end }}
{{- end }}
{{- end }}
{{- end }}
{{- if ge (include "data-platform.minutes" $proxy.cookieRefresh | int) (include "data-platform.minutes" $proxy.cookieExpire | int) }}
{{- $found = append $found (printf "oauth2Proxy.cookieRefresh is %s, no less than cookieExpire, %s: nobody would be asked about again; make it shorter" $proxy.cookieRefresh $proxy.cookieExpire) }}
{{- end }}
{{- if and (eq $proxy.provider "oidc") (not $proxy.oidc.issuerUrl) }}
{{- $found = append $found "oauth2Proxy.provider is oidc without oidc.issuerUrl: say who the provider is" }}
{{- end }}
{{- toJson $found }}
{{- end }}

{{/* Minutes of a text as 12h or 30m. */}}
{{- define "data-platform.minutes" -}}
{{- $number := regexFind "^[0-9]+" . | int }}
{{- mul $number (ternary 60 1 (hasSuffix "h" .)) }}
{{- end }}
