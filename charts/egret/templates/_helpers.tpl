{{- define "egret.name" -}}
{{- .Values.fullnameOverride | trunc 50 | trimSuffix "-" -}}
{{- end -}}

{{- define "egret.image" -}}
{{- if .Values.image.digest -}}
{{ .Values.image.repository }}@{{ .Values.image.digest }}
{{- else -}}
{{ .Values.image.repository }}:{{ .Values.image.tag | default .Chart.AppVersion }}
{{- end -}}
{{- end -}}

{{/* Called with a list of the root and the component. */}}
{{- define "egret.selector" -}}
{{- $root := index . 0 -}}
app.kubernetes.io/name: egret
app.kubernetes.io/instance: {{ $root.Release.Name }}
app.kubernetes.io/component: {{ index . 1 }}
{{- end -}}

{{- define "egret.labels" -}}
{{- $root := index . 0 -}}
{{ include "egret.selector" . }}
app.kubernetes.io/part-of: egret
app.kubernetes.io/version: {{ $root.Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ $root.Release.Service }}
helm.sh/chart: {{ printf "%s-%s" $root.Chart.Name $root.Chart.Version }}
{{- end -}}

{{/* A switch whose default depends on the mode: a list of the value and the default. Gives "true" or nothing. */}}
{{- define "egret.switch" -}}
{{- $value := index . 0 -}}
{{- if kindIs "invalid" $value -}}{{- if index . 1 -}}true{{- end -}}
{{- else if $value -}}true{{- end -}}
{{- end -}}

{{- define "egret.autoscaling" -}}
{{- if eq .Values.proxy.kind "Deployment" -}}
{{- include "egret.switch" (list .Values.autoscaling.enabled (has .Values.mode (list "mtls" "cluster"))) -}}
{{- end -}}
{{- end -}}

{{- define "egret.podSecurity" -}}
runAsNonRoot: true
runAsUser: 65532
runAsGroup: 65532
fsGroup: 65532
seccompProfile:
  type: RuntimeDefault
{{- end -}}

{{- define "egret.containerSecurity" -}}
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
capabilities:
  drop: [ALL]
{{- end -}}

{{/* Names by which the Service is reached, for the console. */}}
{{- define "egret.serviceNames" -}}
{{- $name := include "egret.name" . -}}
- {{ $name }}
- {{ $name }}.{{ .Release.Namespace }}
- {{ $name }}.{{ .Release.Namespace }}.svc
- {{ $name }}.{{ .Release.Namespace }}.svc.cluster.local
{{- end -}}

{{/* The configuration of the mode, with what the values add; nothing where the environment says it all. */}}
{{- define "egret.config" -}}
{{- $config := dict -}}
{{- if has .Values.mode (list "intercept" "cluster") -}}
{{- $config = include (printf "egret.config.%s" .Values.mode) . | fromYaml -}}
{{- end -}}
{{- $config = mergeOverwrite $config (deepCopy .Values.proxy.config) -}}
{{- if $config -}}{{ toYaml $config }}{{- end -}}
{{- end -}}

{{- define "egret.config.intercept" -}}
listeners:
  - address: 0.0.0.0:8888
admin:
  address: 0.0.0.0:9090
console:
  address: 0.0.0.0:8081
  names:
    {{- include "egret.serviceNames" . | nindent 4 }}
interception:
  everything: true
  ca:
    certificate: /etc/egret/interception/tls.crt
    key: /etc/egret/interception/tls.key
capture: Bodies
flows:
  memoryBytes: 256MiB
  bodyBytes: 1GiB
drain:
  timeout: {{ .Values.proxy.drainSeconds }}s
{{- end -}}

{{- define "egret.config.cluster" -}}
listeners:
  - address: 0.0.0.0:8888
admin:
  address: 0.0.0.0:9090
console:
  address: 0.0.0.0:8081
  names:
    {{- include "egret.serviceNames" . | nindent 4 }}
interception:
  ca:
    certificate: /etc/egret/interception/tls.crt
    key: /etc/egret/interception/tls.key
kubernetes:
  scope: {{ ternary "Node" "Cluster" (eq .Values.proxy.kind "DaemonSet") }}
capture: Headers
flows:
  memoryBytes: 256MiB
  bodyBytes: 1GiB
drain:
  timeout: {{ .Values.proxy.drainSeconds }}s
{{- end -}}

{{- define "egret.clusterEnv" -}}
- name: POD_NAME
  valueFrom:
    fieldRef:
      fieldPath: metadata.name
- name: NODE_NAME
  valueFrom:
    fieldRef:
      fieldPath: spec.nodeName
{{- end -}}

{{- define "egret.env" -}}
{{- if has .Values.mode (list "tunnel" "mtls") }}
{{- if not .Values.proxy.config.listeners }}
- name: EGRET_LISTEN
  value: {{ ternary "0.0.0.0:8443" "0.0.0.0:8888" (eq .Values.mode "mtls") }}
{{- if eq .Values.mode "mtls" }}
- name: EGRET_MTLS
  value: /etc/egret/tls
{{- end }}
{{- end }}
- name: EGRET_ADMIN
  value: 0.0.0.0:9090
- name: EGRET_CONSOLE
  value: "off"
- name: EGRET_DRAIN_TIMEOUT
  value: {{ .Values.proxy.drainSeconds }}s
{{- end }}
{{- if eq .Values.mode "cluster" }}
{{ include "egret.clusterEnv" . }}
{{- end }}
{{- with .Values.proxy.env }}
{{ toYaml . }}
{{- end }}
{{- end -}}
