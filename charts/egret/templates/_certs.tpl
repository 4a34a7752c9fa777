{{- define "egret.certsPod" -}}
metadata:
  labels:
    {{- include "egret.labels" (list . "certs") | nindent 4 }}
  annotations:
    egret.dev/inject: "false"
spec:
  serviceAccountName: {{ include "egret.name" . }}-certs
  automountServiceAccountToken: true
  enableServiceLinks: false
  restartPolicy: OnFailure
  {{- with .Values.imagePullSecrets }}
  imagePullSecrets:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  securityContext:
    {{- include "egret.podSecurity" . | nindent 4 }}
  containers:
    - name: certs
      image: {{ include "egret.image" . }}
      imagePullPolicy: {{ .Values.image.pullPolicy }}
      args:
        - certs
        - secrets
        {{- if eq .Values.mode "mtls" }}
        - --mtls
        - --service={{ include "egret.name" . }}
        {{- else }}
        - --interception
        {{- end }}
      resources:
        requests:
          cpu: 50m
          memory: 32Mi
        limits:
          cpu: 500m
          memory: 128Mi
      securityContext:
        {{- include "egret.containerSecurity" . | nindent 8 }}
{{- end -}}
