{{/* The chart's name, for the label. */}}
{{- define "tidegate.name" -}}
{{- default .Chart.Name .Values.nameOverride | trunc 63 | trimSuffix "-" -}}
{{- end -}}

{{/* The first part of every object's name: the release's name, with the chart's behind it unless it is in it. Short, so that
a StatefulSet's pods still get their label with the revision's hash. */}}
{{- define "tidegate.fullname" -}}
{{- $name := default .Chart.Name .Values.nameOverride -}}
{{- $usual := ternary .Release.Name (printf "%s-%s" .Release.Name $name) (contains $name .Release.Name) -}}
{{- default $usual .Values.fullnameOverride | trunc 40 | trimSuffix "-" -}}
{{- end -}}

{{/* What selects the pods of one component, for ever: selectors cannot be changed. Takes {root, component}. */}}
{{- define "tidegate.selectorLabels" -}}
app.kubernetes.io/name: {{ include "tidegate.name" .root | quote }}
app.kubernetes.io/instance: {{ .root.Release.Name | quote }}
app.kubernetes.io/component: {{ .component }}
{{- end -}}

{{/* The labels of an object. Takes {root, component}. */}}
{{- define "tidegate.labels" -}}
{{ include "tidegate.selectorLabels" . }}
app.kubernetes.io/part-of: tidegate
app.kubernetes.io/version: {{ .root.Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .root.Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .root.Chart.Name .root.Chart.Version | replace "+" "_" | trunc 63 | trimSuffix "-" }}
{{- end -}}

{{/* The labels of a pod: none that an upgrade of the chart alone would change, and the selector's go before the user's.
Takes {root, component, more}. */}}
{{- define "tidegate.podLabels" -}}
{{- $fixed := include "tidegate.selectorLabels" . | fromYaml -}}
{{- mergeOverwrite (deepCopy (default dict .more)) (dict "app.kubernetes.io/part-of" "tidegate") $fixed | toYaml -}}
{{- end -}}

{{/* The image: a digest goes before the tag. */}}
{{- define "tidegate.image" -}}
{{- with .Values.image -}}
{{- if .digest -}}
{{ .repository }}@{{ .digest }}
{{- else -}}
{{ .repository }}:{{ default $.Chart.AppVersion .tag }}
{{- end -}}
{{- end -}}
{{- end -}}

{{/* An address to listen at. Takes {root, port}. */}}
{{- define "tidegate.listen" -}}
{{- printf "%s:%d" (include "tidegate.bracketed" .root.Values.listenAddress) (int .port) -}}
{{- end -}}

{{/* A host as it stands before a port: IPv6 addresses in brackets. */}}
{{- define "tidegate.bracketed" -}}
{{- if and (contains ":" .) (not (hasPrefix "[" .)) -}}[{{ . }}]{{- else -}}{{ . }}{{- end -}}
{{- end -}}

{{/* Seconds of a duration such as 90s, 3m or 1h; the schema admits no other. */}}
{{- define "tidegate.seconds" -}}
{{- $number := regexFind "^[0-9]+" . | int -}}
{{- mul $number (get (dict "s" 1 "m" 60 "h" 3600) (regexFind "[smh]$" .)) -}}
{{- end -}}

{{/* The Secret of the fleet keys, and which of its data keys holds them. */}}
{{- define "tidegate.keysSecret" -}}
{{- default (printf "%s-keys" (include "tidegate.fullname" .)) .Values.keys.existingSecret -}}
{{- end -}}
{{- define "tidegate.keysSecretKey" -}}
{{- if .Values.keys.existingSecret }}{{ .Values.keys.secretKey }}{{ else }}keys{{ end -}}
{{- end -}}

{{/* The Secrets of the admin API; empty where there is none. */}}
{{- define "tidegate.adminTlsSecret" -}}
{{- with .Values.admin.tls -}}
{{- if .existingSecret }}{{ .existingSecret }}{{ else if .generate }}{{ include "tidegate.fullname" $ }}-admin{{ end -}}
{{- end -}}
{{- end -}}
{{- define "tidegate.tokensSecret" -}}
{{- with .Values.admin.tokens -}}
{{- if .existingSecret }}{{ .existingSecret }}{{ else if .generate }}{{ include "tidegate.fullname" $ }}-admin{{ end -}}
{{- end -}}
{{- end -}}

{{/* Which of them the chart makes, as JSON. By the values, because a Secret of the user's may have any name. */}}
{{- define "tidegate.makes" -}}
{{- $makes := dict "keys" (and .Values.keys.generate (not .Values.keys.existingSecret)) -}}
{{- $_ := set $makes "tls" (and .Values.admin.tls.generate (not .Values.admin.tls.existingSecret)) -}}
{{- $_ := set $makes "tokens" (and .Values.admin.tokens.generate (not .Values.admin.tokens.existingSecret)) -}}
{{- toJson $makes -}}
{{- end -}}

{{/* What every container may do: nothing beyond running. */}}
{{- define "tidegate.containerSecurityContext" -}}
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
capabilities:
  drop: [ALL]
{{- end -}}

{{/* Who every pod runs as. The group owns mounted Secrets, so that 0440 suffices: the programs refuse secrets that others
could read. */}}
{{- define "tidegate.podSecurityContext" -}}
runAsNonRoot: true
runAsUser: 65532
runAsGroup: 65532
fsGroup: 65532
fsGroupChangePolicy: OnRootMismatch
seccompProfile:
  type: RuntimeDefault
{{- end -}}
