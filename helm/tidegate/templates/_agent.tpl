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

{{/* Where edges reach a replica: hosts of yours lead there from outside, fixed addresses from inside. Takes {root, i, outside}. */}}
{{- define "tidegate.heartbeatHost" -}}
{{- $service := printf "%s-heartbeat-%d.%s.svc.%s" (include "tidegate.fullname" .root) .i .root.Release.Namespace .root.Values.clusterDomain -}}
{{- with .root.Values.heartbeat -}}
{{- $host := include "tidegate.ofReplica" (dict "list" .hosts "i" $.i) -}}
{{- $address := include "tidegate.ofReplica" (dict "list" .clusterIPs "i" $.i) -}}
{{- ternary (coalesce $host $address $service) (coalesce $address $host $service) (default false $.outside) -}}
{{- end -}}
{{- end -}}

{{/* At which port: where hosts of yours are used, node ports count if there are any. Takes {root, i, outside}. */}}
{{- define "tidegate.heartbeatPort" -}}
{{- with .root.Values.heartbeat -}}
{{- $byHost := and .hosts (or $.outside (not .clusterIPs)) -}}
{{- if and $byHost (eq .service.type "NodePort") -}}
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
