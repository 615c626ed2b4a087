{{- define "observer.name" -}}
{{- .Release.Name | trunc 63 | trimSuffix "-" -}}
{{- end -}}

{{- define "observer.selector" -}}
app.kubernetes.io/name: observer
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end -}}

{{- define "observer.labels" -}}
{{ include "observer.selector" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version }}
{{- end -}}

{{- define "observer.account" -}}
{{- .Values.serviceAccount.name | default (ternary (include "observer.name" .) "default" .Values.serviceAccount.create) -}}
{{- end -}}

{{/* What the agent makes of its configuration: YAML of Helm reads a plain `off` as false. */}}
{{- define "observer.listen" -}}
{{- dig "metrics" "listen" "127.0.0.1:9466" .Values.config | toString -}}
{{- end -}}

{{- define "observer.port" -}}
{{- regexFind "[0-9]+$" (include "observer.listen" .) -}}
{{- end -}}

{{/* Whether others than the pod itself reach the agent's port; empty if not. */}}
{{- define "observer.reachable" -}}
{{- $listen := include "observer.listen" . -}}
{{- if and (include "observer.port" .) (not (regexMatch "^(127\\.|\\[::1\\]|localhost:)" $listen)) -}}
yes
{{- end -}}
{{- end -}}
