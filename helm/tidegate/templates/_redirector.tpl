{{/* How long a starting redirector waits for its first edge. A lone one has nobody to leave the clients to. */}}
{{- define "tidegate.firstEdgeWait" -}}
{{- default (ternary "3m" "0s" (gt (int .Values.replicas) 1)) .Values.redirector.firstEdgeWait -}}
{{- end -}}

{{/* How often the start may be asked after: as long as the first edge is waited for, and two minutes to open the store. */}}
{{- define "tidegate.startupFailures" -}}
{{- with .Values.redirector.startupProbe -}}
{{- $seconds := add 120 (include "tidegate.seconds" (include "tidegate.firstEdgeWait" $) | int) -}}
{{- default (ceil (divf $seconds .periodSeconds)) .failureThreshold | int -}}
{{- end -}}
{{- end -}}

{{/* The container's ports for clients, each once, as JSON. */}}
{{- define "tidegate.clientPorts" -}}
{{- $ports := list (int .Values.client.port) -}}
{{- range .Values.client.extraPorts -}}
{{- $ports = append $ports (int (default $.Values.client.port .targetPort)) -}}
{{- end -}}
{{- $ports | uniq | toJson -}}
{{- end -}}

{{/* What the chart settles, as variables: they go before redirector.config, and no default is written twice. */}}
{{- define "tidegate.redirectorSettings" -}}
{{- $listeners := list -}}
{{- range include "tidegate.clientPorts" . | fromJsonArray -}}
{{- $listeners = append $listeners (include "tidegate.listen" (dict "root" $ "port" .)) -}}
{{- end -}}
DATA_DIR: /var/lib/tidegate/store
HEARTBEAT__LISTEN: {{ include "tidegate.listen" (dict "root" . "port" .Values.heartbeat.port) | quote }}
HEARTBEAT__KEYS_FILE: /etc/tidegate/keys/keys
CLIENT__LISTEN: {{ join "," $listeners | quote }}
{{- if .Values.client.tls.existingSecret }}
CLIENT__TLS_CERT: /etc/tidegate/client/tls.crt
CLIENT__TLS_KEY: /etc/tidegate/client/tls.key
{{- end }}
ADMIN__LISTEN: {{ include "tidegate.listen" (dict "root" . "port" .Values.admin.port) | quote }}
ADMIN__INSECURE: {{ .Values.admin.insecure | quote }}
{{- if include "tidegate.adminTlsSecret" . }}
ADMIN__TLS_CERT: /etc/tidegate/admin/tls.crt
ADMIN__TLS_KEY: /etc/tidegate/admin/tls.key
{{- end }}
{{- if include "tidegate.tokensSecret" . }}
ADMIN__TOKENS_FILE: /etc/tidegate/tokens/tokens
{{- end }}
{{- if .Values.admin.clientCA.existingSecret }}
ADMIN__CLIENT_CA: /etc/tidegate/client-ca/ca.crt
{{- end }}
OPS__LISTEN: {{ include "tidegate.listen" (dict "root" . "port" .Values.ops.port) | quote }}
OPS__OPEN: {{ .Values.ops.open | quote }}
OPS__STOP_DELAY: {{ printf "%ds" (int .Values.redirector.stopDelaySeconds) }}
OPS__FIRST_EDGE_WAIT: {{ include "tidegate.firstEdgeWait" . }}
{{- end -}}

{{/* The Secrets that are mounted below /etc/tidegate: folder -> {secret, items (data key -> file)}. */}}
{{- define "tidegate.redirectorSecrets" -}}
keys:
  secret: {{ include "tidegate.keysSecret" . | quote }}
  items: { {{ include "tidegate.keysSecretKey" . | quote }}: keys }
{{- with include "tidegate.adminTlsSecret" . }}
admin:
  secret: {{ . | quote }}
  items: { tls.crt: tls.crt, tls.key: tls.key }
{{- end }}
{{- with include "tidegate.tokensSecret" . }}
tokens:
  secret: {{ . | quote }}
  items: { tokens: tokens }
{{- end }}
{{- with .Values.admin.clientCA.existingSecret }}
client-ca:
  secret: {{ . | quote }}
  items: { ca.crt: ca.crt }
{{- end }}
{{- with .Values.client.tls.existingSecret }}
client:
  secret: {{ . | quote }}
  items: { tls.crt: tls.crt, tls.key: tls.key }
{{- end }}
{{- end -}}

{{/* Those Secrets as volumes. 288 is 0440, which the programs ask for and JSON cannot write. Takes the map above. */}}
{{- define "tidegate.secretVolumes" -}}
{{- range $folder, $mount := . }}
- name: {{ $folder }}
  secret:
    secretName: {{ $mount.secret | quote }}
    defaultMode: 288
    {{- if $mount.optional }}
    optional: true
    {{- end }}
    items:
      {{- range $key, $file := $mount.items }}
      - key: {{ $key | quote }}
        path: {{ $file }}
      {{- end }}
{{- end }}
{{- end -}}

{{/* And where they are mounted. Whole folders, because a file mounted by itself would never be seen to change. */}}
{{- define "tidegate.secretMounts" -}}
{{- range $folder, $_ := . }}
- name: {{ $folder }}
  mountPath: /etc/tidegate/{{ $folder }}
  readOnly: true
{{- end }}
{{- end -}}

{{/* A probe of the operations port. Takes {path, probe}. */}}
{{- define "tidegate.probe" -}}
httpGet:
  path: {{ .path }}
  port: {{ .port }}
  {{- with .host }}
  host: {{ . }}
  {{- end }}
{{- with .timing }}
periodSeconds: {{ .periodSeconds }}
timeoutSeconds: {{ .timeoutSeconds }}
failureThreshold: {{ .failureThreshold }}
{{- end }}
{{- end -}}
