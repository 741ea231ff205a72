{{/* What one should know before relying on it, as lines of the notes. */}}
{{- define "tidegate.warnings" -}}
{{- $lines := list -}}
{{- $full := include "tidegate.fullname" . -}}
{{- if not .Values.persistence.enabled -}}
{{- $lines = append $lines "persistence.enabled is false: a redirector that moves or restarts has lost its drains." -}}
{{- end -}}
{{- if eq (int .Values.replicas) 1 -}}
{{- $lines = append $lines "replicas is 1: while that redirector restarts or moves, clients get no answer." -}}
{{- end -}}
{{- if not (include "tidegate.adminTlsSecret" .) -}}
{{- $lines = append $lines "admin.insecure without TLS: orders and tokens travel in plain text." -}}
{{- end -}}
{{- if not (or (include "tidegate.tokensSecret" .) .Values.admin.clientCA.existingSecret) -}}
{{- $lines = append $lines "admin.insecure without credentials: whoever reaches the admin port is operator." -}}
{{- end -}}
{{- if and .Values.admin.insecure (include "tidegate.adminTlsSecret" .) (include "tidegate.tokensSecret" .) -}}
{{- $lines = append $lines "admin.insecure alone changes nothing: it permits what admin.tls.generate=false and admin.tokens.generate=false switch off." -}}
{{- end -}}
{{- with .Values.heartbeat -}}
{{- if and .hosts (eq .service.type "NodePort") (not .nodePorts) -}}
{{- $lines = append $lines (printf "heartbeat.hosts without heartbeat.nodePorts: edges are told port %d of these hosts, not the node ports." (int .port)) -}}
{{- end -}}
{{- end -}}
{{- $makes := include "tidegate.makes" . | fromJson -}}
{{- $made := list -}}
{{- if $makes.keys -}}{{- $made = append $made (printf "%s-keys" $full) -}}{{- end -}}
{{- if or $makes.tls $makes.tokens -}}{{- $made = append $made (printf "%s-admin" $full) -}}{{- end -}}
{{- with $made -}}
{{- $lines = append $lines (printf "made at random and kept by looking into the cluster: %s. Where something else than helm applies the chart (helm template, Argo CD), give Secrets of yours." (join ", " .)) -}}
{{- end -}}
{{- with $lines }}

TAKE NOTE
{{- range . }}
  - {{ . }}
{{- end }}
{{- end }}
{{- end -}}
