{{/* The targets file: every edge reports to every replica. Its key is the first of the keys file beside it. */}}
{{- define "tidegate.targets" -}}
{{- range $i := until (int .Values.replicas) -}}
{{ include "tidegate.bracketed" (include "tidegate.heartbeatHost" (dict "root" $ "i" $i)) }},
{{- include "tidegate.heartbeatPort" (dict "root" $ "i" $i) }},${file:/etc/tidegate/keys/keys}
{{ end -}}
{{- end -}}

{{/* Where edges reach a replica. Takes {root, i}. */}}
{{- define "tidegate.heartbeatHost" -}}
{{- with .root.Values.heartbeat -}}
{{- if .clusterIPs -}}
{{ index .clusterIPs $.i }}
{{- else if .hosts -}}
{{ index .hosts $.i }}
{{- else -}}
{{ include "tidegate.fullname" $.root }}-heartbeat-{{ $.i }}.{{ $.root.Release.Namespace }}.svc.{{ $.root.Values.clusterDomain }}
{{- end -}}
{{- end -}}
{{- end -}}

{{/* At which port: hosts of yours are outside, where node ports count if there are any. Takes {root, i}. */}}
{{- define "tidegate.heartbeatPort" -}}
{{- with .root.Values.heartbeat -}}
{{- if and .hosts .nodePorts (not .clusterIPs) (eq .service.type "NodePort") -}}
{{ index .nodePorts $.i }}
{{- else -}}
{{ .port }}
{{- end -}}
{{- end -}}
{{- end -}}

{{/* The Secrets that the agent mounts. With targets of the user's the fleet key is not needed, and not given. */}}
{{- define "tidegate.agentSecrets" -}}
{{- $own := .Values.agent.targets.existingSecret -}}
targets:
  secret: {{ default (printf "%s-targets" (include "tidegate.fullname" .)) $own }}
  items: { loadbalancertargets.txt: loadbalancertargets.txt }
{{- if not $own }}
keys:
  secret: {{ include "tidegate.keysSecret" . }}
  items: { {{ include "tidegate.keysSecretKey" . | quote }}: keys }
{{- end }}
{{- end -}}
