{{/* The targets file: every edge reports to every replica. Its key is the first of the keys file beside it. */}}
{{- define "tidegate.targets" -}}
{{- range $i := until (int .Values.replicas) -}}
{{ include "tidegate.bracketed" (include "tidegate.heartbeatHost" (dict "root" $ "i" $i)) }},
{{- include "tidegate.heartbeatPort" (dict "root" $ "i" $i) }},${file:/etc/tidegate/keys/keys}
{{ end -}}
{{- end -}}

{{/* A replica's entry of a list that has one for each, or nothing; the refusals see to lists that are too short.
Takes {list, i}. */}}
{{- define "tidegate.ofReplica" -}}
{{- if gt (len (default list .list)) .i -}}{{ index .list .i }}{{- end -}}
{{- end -}}

{{/* Where edges reach a replica. Takes {root, i}. */}}
{{- define "tidegate.heartbeatHost" -}}
{{- $service := printf "%s-heartbeat-%d.%s.svc.%s" (include "tidegate.fullname" .root) .i .root.Release.Namespace .root.Values.clusterDomain -}}
{{- with .root.Values.heartbeat -}}
{{- $host := include "tidegate.ofReplica" (dict "list" .hosts "i" $.i) -}}
{{- $address := include "tidegate.ofReplica" (dict "list" .clusterIPs "i" $.i) -}}
{{- coalesce $address $host $service -}}
{{- end -}}
{{- end -}}

{{/* At which port: hosts of yours are outside, where node ports count if there are any. Takes {root, i}. */}}
{{- define "tidegate.heartbeatPort" -}}
{{- with .root.Values.heartbeat -}}
{{- if and .hosts (not .clusterIPs) (eq .service.type "NodePort") -}}
{{- include "tidegate.ofReplica" (dict "list" .nodePorts "i" $.i) | default .port -}}
{{- else -}}
{{- .port -}}
{{- end -}}
{{- end -}}
{{- end -}}

{{/* The Secrets that the agent mounts. With targets of the user's the fleet key is not needed, and not given. */}}
{{- define "tidegate.agentSecrets" -}}
{{- $own := .Values.agent.targets.existingSecret -}}
targets:
  secret: {{ default (printf "%s-targets" (include "tidegate.fullname" .)) $own | quote }}
  items: { loadbalancertargets.txt: loadbalancertargets.txt }
{{- if not $own }}
keys:
  secret: {{ include "tidegate.keysSecret" . | quote }}
  items: { {{ include "tidegate.keysSecretKey" . | quote }}: keys }
{{- end }}
{{- end -}}
