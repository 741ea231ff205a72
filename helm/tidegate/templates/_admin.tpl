{{/* The admin API of every replica inside the cluster, joined by commas. */}}
{{- define "tidegate.adminAddresses" -}}
{{- $addresses := list -}}
{{- range $i := until (int .Values.replicas) -}}
{{- $addresses = append $addresses (include "tidegate.adminAddress" (dict "root" $ "i" $i)) -}}
{{- end -}}
{{- join "," $addresses -}}
{{- end -}}

{{/* That of one. Takes {root, i}. */}}
{{- define "tidegate.adminAddress" -}}
{{- with .root -}}
{{- printf "%s-admin-%d.%s.svc.%s:%d" (include "tidegate.fullname" .) $.i .Release.Namespace .Values.clusterDomain (int .Values.admin.port) -}}
{{- end -}}
{{- end -}}

{{/* The same through port-forwards on one's own machine. */}}
{{- define "tidegate.forwardedAddresses" -}}
{{- $addresses := list -}}
{{- range $i := until (int .Values.replicas) -}}
{{- $addresses = append $addresses (printf "localhost:%d" (add 19360 $i)) -}}
{{- end -}}
{{- join "," $addresses -}}
{{- end -}}

{{/* The Secrets that a test mounts: the authority and a viewer's token. Optional, so that one of the user's without these keys
is named by the program's own message instead of being waited for. */}}
{{- define "tidegate.testSecrets" -}}
{{- with include "tidegate.adminTlsSecret" . }}
admin:
  secret: {{ . | quote }}
  items: { ca.crt: ca.crt }
  optional: true
{{- end }}
{{- with include "tidegate.tokensSecret" . }}
tokens:
  secret: {{ . | quote }}
  items: { metrics-token: metrics-token }
  optional: true
{{- end }}
{{- end -}}
