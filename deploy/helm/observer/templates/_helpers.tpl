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

{{- define "observer.port" -}}
{{- regexFind "[0-9]+$" (dig "metrics" "listen" ":9466" .Values.config) -}}
{{- end -}}
