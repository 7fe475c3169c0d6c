"""What Skalds' guide has its readers apply for a single process on Kubernetes: its objects, field by field."""

ENTRY = """\
TaskWorkers:
  TaskWorker1:
    isPersistent: true
    attachments:
      fix_frame: 10
      rtsp_url: rtsp://192.168.1.1/camera1
    className: MyWorker
"""
BATCH = """\
TaskWorkers:
  nightly:
    isPersistent: false
    attachments:
      jobId: job-12345
      retries: 2
    className: ComplexWorker
"""

_INDENTED = "".join(f"    {line}\n" for line in ENTRY.splitlines())

CONFIG_MAP = f"""\
apiVersion: v1
kind: ConfigMap
metadata:
  name: skald-worker-config-task-alpha
data:
  all_workers.yml: |
{_INDENTED}"""

DEPLOYMENT = """\
apiVersion: apps/v1
kind: Deployment
metadata:
  name: skald-single-worker-task-alpha
spec:
  replicas: 1
  selector:
    matchLabels:
      app: skald-single-worker-task-alpha
  template:
    metadata:
      labels:
        app: skald-single-worker-task-alpha
    spec:
      containers:
        - name: worker
          image: <your-registry>/<your-worker-image>:latest
          env:
            - {name: SKALD_MODE, value: single_process}
            - {name: SKALD_ID, value: worker-sp-task-alpha}
            - {name: YAML_FILE, value: /config/all_workers.yml}
            - {name: LOG_LEVEL, value: INFO}
            - {name: KAFKA_HOST, value: ""}
            - {name: REDIS_HOST, value: ""}
            - {name: MONGO_HOST, value: "mongodb://username:password@mongo:27017/"}
          volumeMounts:
            - {name: worker-config, mountPath: /config, readOnly: true}
      volumes:
        - name: worker-config
          configMap: {name: skald-worker-config-task-alpha}
"""
