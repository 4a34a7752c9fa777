{{- define "egret.mounts" -}}
{{- if include "egret.config" . }}
- name: config
  mountPath: /etc/egret/config
  readOnly: true
{{- end }}
{{- if has .Values.mode (list "intercept" "cluster") }}
- name: interception
  mountPath: /etc/egret/interception
  readOnly: true
- name: state
  mountPath: /var/lib/egret
{{- end }}
{{- if eq .Values.mode "mtls" }}
- name: tls
  mountPath: /etc/egret/tls
  readOnly: true
{{- end }}
{{- with .Values.proxy.extraVolumeMounts }}
{{ toYaml . }}
{{- end }}
{{- end -}}

{{- define "egret.volumes" -}}
{{- if include "egret.config" . }}
- name: config
  configMap:
    name: {{ include "egret.name" . }}
{{- end }}
{{- if has .Values.mode (list "intercept" "cluster") }}
- name: interception
  secret:
    secretName: egret-ca
    defaultMode: 0440
- name: state
  emptyDir:
    sizeLimit: 2Gi
{{- end }}
{{- if eq .Values.mode "mtls" }}
- name: tls
  secret:
    secretName: egret-mtls
    defaultMode: 0440
    items:
      - key: ca.crt
        path: ca.crt
      - key: tls.crt
        path: server.crt
      - key: tls.key
        path: server.key
{{- end }}
{{- with .Values.proxy.extraVolumes }}
{{ toYaml . }}
{{- end }}
{{- end -}}
