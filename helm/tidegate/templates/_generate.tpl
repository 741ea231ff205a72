{{/* 32 random bytes as base64url without padding. */}}
{{- define "tidegate.random" -}}
{{- randBytes 32 | replace "+" "-" | replace "/" "_" | trimSuffix "=" -}}
{{- end -}}

{{/* The data of a Secret as it is in the cluster, which an upgrade keeps; empty where there is none, or no cluster to ask.
Takes {root, name}. */}}
{{- define "tidegate.existingData" -}}
{{- $secret := lookup "v1" "Secret" .root.Release.Namespace .name | default dict -}}
{{- get $secret "data" | default dict | toYaml -}}
{{- end -}}

{{/* The names by which the admin API is reached, as JSON. Wildcards, so that a change of replicas needs no new certificate. */}}
{{- define "tidegate.adminNames" -}}
{{- $namespace := printf "%s.svc" .Release.Namespace -}}
{{- $pods := printf "%s-redirector.%s" (include "tidegate.fullname" .) $namespace -}}
{{- $names := list "localhost" -}}
{{- range list $namespace $pods -}}
{{- $names = concat $names (list (printf "*.%s" .) (printf "*.%s.%s" . $.Values.clusterDomain)) -}}
{{- end -}}
{{- toJson $names -}}
{{- end -}}

{{/* What is missing of the admin API's authority and certificate. Takes {root, data}. */}}
{{- define "tidegate.adminTlsData" -}}
{{- if not (and (get .data "tls.crt") (get .data "tls.key") (get .data "ca.crt")) -}}
{{- $ca := genCA (printf "%s-admin" (include "tidegate.fullname" .root)) 3650 -}}
{{- $names := include "tidegate.adminNames" .root | fromJsonArray -}}
{{- $cert := genSignedCert "tidegate admin" (list "127.0.0.1" "::1") $names 3650 $ca -}}
tls.crt: {{ $cert.Cert | b64enc }}
tls.key: {{ $cert.Key | b64enc }}
ca.crt: {{ $ca.Cert | b64enc }}
{{- end -}}
{{- end -}}

{{/* What is missing of the tokens, and the redirectors' file with a line for each new one. Without that file nobody knows the
tokens that there are, so all are made anew. Takes {data}. */}}
{{- define "tidegate.tokensData" -}}
{{- $lines := get .data "tokens" | default "" | b64dec -}}
{{- $known := ternary .data dict (ne $lines "") -}}
{{- if and $lines (not (hasSuffix "\n" $lines)) -}}{{- $lines = printf "%s\n" $lines -}}{{- end -}}
{{- $new := dict -}}
{{- range $key, $who := dict "operator-token" "operator operator" "metrics-token" "viewer metrics" -}}
{{- if not (get $known $key) -}}
{{- $token := printf "tgt1_%s" (include "tidegate.random" $) -}}
{{- $_ := set $new $key ($token | b64enc) -}}
{{- $lines = printf "%s%s sha256:%s\n" $lines $who ($token | sha256sum) -}}
{{- end -}}
{{- end -}}
{{- $_ := set $new "tokens" ($lines | b64enc) -}}
{{- $new | toYaml -}}
{{- end -}}
