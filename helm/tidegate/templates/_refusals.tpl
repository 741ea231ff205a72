{{/* Everything that is wrong with the values and that the schema cannot say, as a JSON list of sentences. Each names the key
and the way out. */}}
{{- define "tidegate.faults" -}}
{{- $faults := concat (include "tidegate.nameFaults" . | fromJsonArray) (include "tidegate.secretFaults" . | fromJsonArray) -}}
{{- $faults = concat $faults (include "tidegate.perReplicaFaults" . | fromJsonArray) (include "tidegate.portFaults" . | fromJsonArray) -}}
{{- $faults = concat $faults (include "tidegate.serviceFaults" . | fromJsonArray) (include "tidegate.stopFaults" . | fromJsonArray) -}}
{{- toJson $faults -}}
{{- end -}}

{{- define "tidegate.nameFaults" -}}
{{- $faults := list -}}
{{- $name := include "tidegate.fullname" . -}}
{{- if not (regexMatch "^[a-z]([-a-z0-9]*[a-z0-9])?$" $name) -}}
{{- $faults = append $faults (printf "objects would be named %q, which no Service may be: set fullnameOverride to letters, digits and dashes, a letter first" $name) -}}
{{- end -}}
{{- toJson $faults -}}
{{- end -}}

{{- define "tidegate.secretFaults" -}}
{{- $faults := list -}}
{{- if not (or .Values.keys.generate .Values.keys.existingSecret) -}}
{{- $faults = append $faults "keys.generate is false and keys.existingSecret is empty: name a Secret with the fleet keys (tidegatectl key generate), or let the chart make one" -}}
{{- end -}}
{{- with .Values.admin -}}
{{- $tls := include "tidegate.adminTlsSecret" $ -}}
{{- $tokens := include "tidegate.tokensSecret" $ -}}
{{- if and (not $tls) (not .insecure) -}}
{{- $faults = append $faults "admin.tls.generate is false and admin.tls.existingSecret is empty: name a Secret with tls.crt and tls.key, or say admin.insecure=true" -}}
{{- end -}}
{{- if and (not $tokens) (not .clientCA.existingSecret) (not .insecure) -}}
{{- $faults = append $faults "admin.tokens.generate is false and admin.tokens.existingSecret is empty: name a Secret with tokens, name one with an authority in admin.clientCA.existingSecret, or say admin.insecure=true" -}}
{{- end -}}
{{- if and .clientCA.existingSecret (not $tls) -}}
{{- $faults = append $faults "admin.clientCA.existingSecret needs TLS: set admin.tls.generate=true or admin.tls.existingSecret" -}}
{{- end -}}
{{- if and $.Values.metrics.serviceMonitor.enabled (not $tokens) (not $.Values.ops.open) -}}
{{- $faults = append $faults "metrics.serviceMonitor.enabled without a token for /metrics: set admin.tokens.generate=true, name a Secret with metrics-token in admin.tokens.existingSecret, or say ops.open=true" -}}
{{- end -}}
{{- end -}}
{{- toJson $faults -}}
{{- end -}}

{{- define "tidegate.perReplicaFaults" -}}
{{- $faults := list -}}
{{- $replicas := int .Values.replicas -}}
{{- range $key := list "clusterIPs" "nodePorts" "hosts" -}}
{{- $given := get $.Values.heartbeat $key | default list -}}
{{- if and $given (lt (len $given) $replicas) -}}
{{- $faults = append $faults (printf "heartbeat.%s has %d entries for %d replicas: give one for each replica, or none" $key (len $given) $replicas) -}}
{{- end -}}
{{- if ne (len $given) (len (uniq $given)) -}}
{{- $with := ternary " (hosts may repeat where heartbeat.service.type is NodePort and heartbeat.nodePorts tell them apart)" "" (eq $key "hosts") -}}
{{- if not (and (eq $key "hosts") $.Values.heartbeat.nodePorts (eq $.Values.heartbeat.service.type "NodePort")) -}}
{{- $faults = append $faults (printf "heartbeat.%s names one twice: each replica needs its own, because heartbeats must reach every one%s" $key $with) -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- toJson $faults -}}
{{- end -}}

{{- define "tidegate.portFaults" -}}
{{- $faults := list -}}
{{- $tcp := concat (include "tidegate.clientPorts" . | fromJsonArray) (list .Values.admin.port .Values.ops.port) -}}
{{- $seen := list -}}
{{- range $tcp -}}
{{- if has (int .) $seen -}}
{{- $faults = append $faults (printf "TCP port %d is used twice in the redirector: client.port, client.extraPorts (targetPort), admin.port and ops.port must differ" (int .)) -}}
{{- end -}}
{{- $seen = append $seen (int .) -}}
{{- end -}}
{{- $ports := list (int .Values.client.port) -}}
{{- $names := list "client" -}}
{{- range .Values.client.extraPorts -}}
{{- if or (has (int .port) $ports) (has .name $names) -}}
{{- $faults = append $faults (printf "client.extraPorts: the port %s (%d) is there already, or its name is: give each a port and a name of its own" .name (int .port)) -}}
{{- end -}}
{{- $ports = append $ports (int .port) -}}
{{- $names = append $names .name -}}
{{- end -}}
{{- toJson $faults -}}
{{- end -}}

{{- define "tidegate.serviceFaults" -}}
{{- $faults := list -}}
{{- with .Values.client.service -}}
{{- $away := "client.service.%s needs client.service.type %s: set that, or leave it out" -}}
{{- if eq .type "ClusterIP" -}}
{{- range $key := list "nodePort" "externalTrafficPolicy" -}}
{{- if get $.Values.client.service $key -}}
{{- $faults = append $faults (printf $away $key "NodePort or LoadBalancer") -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- if ne .type "LoadBalancer" -}}
{{- range $key := list "loadBalancerClass" "loadBalancerIP" "loadBalancerSourceRanges" -}}
{{- if get $.Values.client.service $key -}}
{{- $faults = append $faults (printf $away $key "LoadBalancer") -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- if and .Values.heartbeat.nodePorts (eq .Values.heartbeat.service.type "ClusterIP") -}}
{{- $faults = append $faults "heartbeat.nodePorts needs heartbeat.service.type NodePort or LoadBalancer: set that, or leave them out" -}}
{{- end -}}
{{- toJson $faults -}}
{{- end -}}

{{- define "tidegate.stopFaults" -}}
{{- $faults := list -}}
{{- with .Values.redirector -}}
{{- if lt (int .terminationGracePeriodSeconds) (add 15 (int .stopDelaySeconds) | int) -}}
{{- $faults = append $faults (printf "redirector.terminationGracePeriodSeconds (%d) must be above redirector.stopDelaySeconds (%d), by 15 s or more: redirectors would be killed while they serve" (int .terminationGracePeriodSeconds) (int .stopDelaySeconds)) -}}
{{- end -}}
{{- end -}}
{{- toJson $faults -}}
{{- end -}}
