"""What the agent counts and times while it works, under the genuine kubelet's names, to be shown at /metrics.

They belong to the process: whoever does the thing counts it here. What can be told at any moment from what is so is
gathered at each scrape instead (serve.agent_metrics). Names, labels and buckets: K/pkg/kubelet/metrics/metrics.go,
K/pkg/kubelet/images/metrics.go, K/pkg/kubelet/certificate/kubelet.go, K/pkg/volume/util/metrics.go,
k8s.io/component-base/metrics/prometheus/restclient.
"""

import functools
from typing import Final

from prometheus_client import Counter, Histogram

from nodekit.metrics import DEFAULT, Families

FAMILIES: Final = Families()

_START: Final = (
    *(0.5, 1, 2, 3, 4, 5, 6, 8, 10, 20, 30, 45, 60, 120, 180, 240, 300, 360, 480, 600, 900, 1200, 1800, 2700, 3600),
)
_PULL: Final = (1, 5, 10, 20, 30, 60, 120, 180, 240, 300, 360, 480, 600, 900, 1200, 1800, 2700, 3600)
_RESIZE: Final = (10, 50, 100, 500, 1000, 2000, 5000, 10000, 20000, 30000, 60000, 120000, 300000, 600000)
_STATUS: Final = (0.01, 0.05, 0.1, 0.5, 1, 5, 10, 20, 30, 45, 60)
_STORAGE: Final = (0.1, 0.25, 0.5, 1, 2.5, 5, 10, 15, 25, 50, 120, 300, 600)
_LIFE: Final = (60, 3600, 14400, 86400, 604800, 2592000, 7776000, 15552000, 31104000, 124416000)
_REQUEST: Final = (0.005, 0.025, 0.1, 0.25, 0.5, 1.0, 2.0, 4.0, 8.0, 15.0, 30.0, 60.0)
_BYTES: Final = (64, 256, 512, 1024, 4096, 16384, 65536, 262144, 1048576, 4194304, 16777216)

_counter, _gauge, _histogram = FAMILIES.counter, FAMILIES.gauge, FAMILIES.histogram

# Pods.
containers_per_pod = _histogram(
    "kubelet_containers_per_pod_count", "The number of containers per pod.", buckets=(1, 2, 4, 8, 16)
)
pod_worker_start = _histogram(
    "kubelet_pod_worker_start_duration_seconds",
    "Duration in seconds from kubelet seeing a pod to starting a worker.",
    buckets=DEFAULT,
)
pod_worker = _histogram(
    "kubelet_pod_worker_duration_seconds",
    "Duration in seconds to sync a single pod. Broken down by operation type: create, update, sync, kill or terminated",
    labels=("operation_type",),
    buckets=DEFAULT,
)
pod_start = _histogram(
    "kubelet_pod_start_duration_seconds",
    "Duration in seconds from kubelet seeing a pod for the first time to the pod starting to run",
    buckets=_START,
)
pod_start_total = _histogram(
    "kubelet_pod_start_total_duration_seconds",
    "Duration in seconds to start a pod since creation, including time to pull images and run init containers",
    buckets=_START,
)
pod_start_sli = _histogram(
    "kubelet_pod_start_sli_duration_seconds",
    "Duration in seconds to start a pod since creation, excluding time to pull images and run init containers",
    buckets=_START,
)
first_network_pod_start = _gauge(
    "kubelet_first_network_pod_start_sli_duration_seconds",
    "Duration in seconds to start the first network pod, excluding time to pull images and run init containers",
)
pod_status_sync = _histogram(
    "kubelet_pod_status_sync_duration_seconds",
    "Duration in seconds from a change of a pod's status until the API is told of it",
    buckets=_STATUS,
)
orphaned_runtime_pods = _counter(
    "kubelet_orphaned_runtime_pods_total",
    "Number of pods that have been detected in the container runtime without being already known to the pod worker.",
)
restarted_pods = _counter(
    "kubelet_restarted_pods_total",
    "Number of pods that were deleted and recreated with the same UID while the kubelet was watching them",
    labels=("static",),
)
admission_rejections = _counter(
    "kubelet_admission_rejections_total",
    "Cumulative number pod admission rejections by the Kubelet.",
    labels=("reason",),
)
admissions = _counter(
    "kubelet_pod_level_resources_admission_total",
    "Total number of pods admitted, by where they ask for resources and their QoS class.",
    labels=("config_mode", "qos_class"),
)
evictions = _counter(
    "kubelet_evictions",
    "Cumulative number of pod evictions by eviction signal",
    labels=("eviction_signal",),
    bare=True,
)
eviction_stats_age = _histogram(
    "kubelet_eviction_stats_age_seconds",
    "Time between when stats are collected, and when pod is evicted based on those stats by eviction signal",
    labels=("eviction_signal",),
    buckets=DEFAULT,
)
preemptions = _counter(
    "kubelet_preemptions",
    "Cumulative number of pod preemptions by preemption resource",
    labels=("preemption_signal",),
    bare=True,
)

# Resizes in place.
requested_resizes = _counter(
    "kubelet_container_requested_resizes_total",
    "Number of requested resizes, counted at the container level, each resource for itself.",
    labels=("resource", "requirement", "operation"),
)
resize_milliseconds = _histogram(
    "kubelet_pod_resize_duration_milliseconds",
    "Duration in milliseconds to actuate a pod resize",
    labels=("success",),
    buckets=_RESIZE,
)

# Sandboxes, containers and what they run.
run_sandbox = _histogram(
    "kubelet_run_podsandbox_duration_seconds",
    "Duration in seconds of the run_podsandbox operations. Broken down by RuntimeClass.Handler.",
    labels=("runtime_handler",),
    buckets=DEFAULT,
)
run_sandbox_errors = _counter(
    "kubelet_run_podsandbox_errors_total",
    "Cumulative number of the run_podsandbox operation errors by RuntimeClass.Handler.",
    labels=("runtime_handler",),
)
started_pods = _counter("kubelet_started_pods_total", "Cumulative number of pods started")
started_pods_errors = _counter("kubelet_started_pods_errors_total", "Cumulative number of errors when starting pods")
started_namespaced_pods = _counter(
    "kubelet_started_user_namespaced_pods_total", "Cumulative number of pods with user namespaces started."
)
started_namespaced_pods_errors = _counter(
    "kubelet_started_user_namespaced_pods_errors_total",
    "Cumulative number of errors when starting pods with user namespaces.",
)
started_containers = _counter(
    "kubelet_started_containers_total", "Cumulative number of containers started", labels=("container_type",)
)
started_containers_errors = _counter(
    "kubelet_started_containers_errors_total",
    "Cumulative number of errors when starting containers",
    labels=("container_type", "code"),
)
terminated_containers = _counter(
    "kubelet_terminated_containers_total",
    "Cumulative number of container terminations.",
    labels=("container_type", "exit_code", "reason"),
)
hook_fallbacks = _counter(
    "kubelet_lifecycle_handler_http_fallbacks_total",
    "The number of times lifecycle handlers successfully fell back to http from https.",
)
hook_sleeps_cut_short = _counter(
    "kubelet_sleep_action_terminated_early_total",
    "The number of times lifecycle sleep handler got terminated before it finishes",
)
cgroup_manager = _histogram(
    "kubelet_cgroup_manager_duration_seconds",
    "Duration in seconds for cgroup manager operations. Broken down by method.",
    labels=("operation_type",),
    buckets=DEFAULT,
)

# Looking at the runtime.
relist = _histogram(
    "kubelet_pleg_relist_duration_seconds", "Duration in seconds for relisting pods in PLEG.", buckets=DEFAULT
)
relist_interval = _histogram(
    "kubelet_pleg_relist_interval_seconds", "Interval in seconds between relisting in PLEG.", buckets=DEFAULT
)
relist_last_seen = _gauge("kubelet_pleg_last_seen_seconds", "Timestamp in seconds when PLEG was last seen active.")
pod_relist = _histogram(
    "kubelet_pleg_pod_relist_duration_seconds",
    "Duration in seconds for relisting a single pod in PLEG.",
    buckets=DEFAULT,
)
event_streams = _counter(
    "kubelet_evented_pleg_connection_success_count",
    "The number of times a streaming client was obtained to receive CRI Events.",
    bare=True,
)
event_stream_errors = _counter(
    "kubelet_evented_pleg_connection_error_count",
    "The number of errors encountered during the establishment of streaming connection with the CRI runtime.",
    bare=True,
)
event_latency = _histogram(
    "kubelet_evented_pleg_connection_latency_seconds",
    "The latency of streaming connection with the CRI runtime, measured in seconds.",
    buckets=DEFAULT,
)

# Images.
image_pull = _histogram(
    "kubelet_image_pull_duration_seconds",
    "Duration in seconds to pull an image.",
    labels=("image_size_in_bytes",),
    buckets=_PULL,
)
images_collected = _counter(
    "kubelet_image_garbage_collected_total",
    "Total number of images garbage collected by the kubelet, whether through disk usage or image age.",
    labels=("reason",),
)
ensured_images = _counter(
    "kubelet_image_manager_ensure_image_requests_total",
    "Number of ensure-image requests processed by the kubelet.",
    labels=("pull_policy", "present_locally", "pull_required"),
)
pull_intents = _gauge("kubelet_imagemanager_ondisk_pullintents", "Number of ImagePullIntents stored on disk.")
pulled_records = _gauge("kubelet_imagemanager_ondisk_pulledrecords", "Number of ImagePulledRecords stored on disk.")
must_pull_checks = _counter(
    "kubelet_imagemanager_image_mustpull_checks_total",
    "Counter for how many times kubelet checked whether credentials need to be re-verified to access an image",
    labels=("result",),
)
image_volumes = _counter("kubelet_image_volume_requested_total", "Number of requested image volumes.")
image_volumes_mounted = _counter(
    "kubelet_image_volume_mounted_succeed_total", "Number of successful image volume mounts."
)
image_volumes_failed = _counter("kubelet_image_volume_mounted_errors_total", "Number of failed image volume mounts.")
credential_plugin = _histogram(
    "kubelet_credential_provider_plugin_duration",
    "Duration of execution in seconds for credential provider plugin",
    labels=("plugin_name",),
    buckets=DEFAULT,
)
credential_plugin_errors = _counter(
    "kubelet_credential_provider_plugin_errors_total",
    "Number of errors from credential provider plugin",
    labels=("plugin_name",),
)

# Volumes.
storage_operation = _histogram(
    "storage_operation_duration_seconds",
    "Storage operation duration",
    labels=("volume_plugin", "operation_name", "status", "migrated"),
    buckets=_STORAGE,
)
volume_mount = _histogram(
    "volume_operation_total_seconds",
    "Storage operation end to end duration in seconds",
    labels=("plugin_name", "operation_name"),
    buckets=_STORAGE,
)
csi_operation = _histogram(
    "csi_operations_seconds",
    "Container Storage Interface operation duration with gRPC error code status total",
    labels=("driver_name", "method_name", "grpc_status_code", "migrated"),
    buckets=_STORAGE,
)
volume_sizing = _histogram(
    "kubelet_volume_metric_collection_duration_seconds",
    "Duration in seconds to calculate volume stats",
    labels=("metric_source",),
    buckets=DEFAULT,
)
orphans_cleaned = _gauge(
    "kubelet_orphan_pod_cleaned_volumes",
    "The total number of orphaned Pods whose volumes were cleaned in the last periodic sweep.",
)
orphans_not_cleaned = _gauge(
    "kubelet_orphan_pod_cleaned_volumes_errors",
    "The number of orphaned Pods whose volumes failed to be cleaned in the last periodic sweep.",
)

# The node.
startup_before_kubelet = _gauge(
    "kubelet_node_startup_pre_kubelet_duration_seconds", "Duration in seconds of node startup before kubelet starts."
)
startup_before_registration = _gauge(
    "kubelet_node_startup_pre_registration_duration_seconds",
    "Duration in seconds of node startup before registration.",
)
startup_registration = _gauge(
    "kubelet_node_startup_registration_duration_seconds", "Duration in seconds of node startup during registration."
)
startup_after_registration = _gauge(
    "kubelet_node_startup_post_registration_duration_seconds",
    "Duration in seconds of node startup after registration.",
)
startup = _gauge("kubelet_node_startup_duration_seconds", "Duration in seconds of node startup in total.")
shutdown_began = _gauge(
    "kubelet_graceful_shutdown_start_time_seconds", "Last graceful shutdown start time since unix epoch in seconds"
)
shutdown_ended = _gauge(
    "kubelet_graceful_shutdown_end_time_seconds", "Last graceful shutdown end time since unix epoch in seconds"
)

# Certificates that are renewed; shown where that is asked for.
CLIENT_CERTIFICATE: Final = Families()
SERVING_CERTIFICATE: Final = Families()
client_certificate_left = CLIENT_CERTIFICATE.gauge(
    "kubelet_certificate_manager_client_ttl_seconds",
    "Seconds until the client certificate expires (negative if it has; +Inf without one).",
)
client_renewal_errors = CLIENT_CERTIFICATE.counter(
    "kubelet_certificate_manager_client_expiration_renew_errors", "Counter of certificate renewal errors.", bare=True
)
serving_certificate_left = SERVING_CERTIFICATE.gauge(
    "kubelet_certificate_manager_server_ttl_seconds",
    "Seconds until the serving certificate expires (negative if it has; +Inf without one).",
)
serving_renewal_errors = SERVING_CERTIFICATE.counter(
    "kubelet_server_expiration_renew_errors", "Counter of certificate renewal errors.", bare=True
)
serving_certificate_lived = SERVING_CERTIFICATE.histogram(
    "kubelet_certificate_manager_server_rotation_seconds",
    "Histogram of the number of seconds the previous certificate lived before being rotated.",
    buckets=_LIFE,
)

# Requests that others make: podresources.
_BY_VERSION: Final = ("server_api_version",)
_PODRESOURCES: Final = "kubelet_pod_resources_endpoint"
pod_resources = _counter(
    f"{_PODRESOURCES}_requests_total", "Cumulative number of requests to the PodResource endpoint.", labels=_BY_VERSION
)
pod_resources_requests = {
    method: _counter(
        f"{_PODRESOURCES}_requests_{name}",
        f"Number of requests to the PodResource {method} endpoint.",
        labels=_BY_VERSION,
        bare=True,
    )
    for method, name in (("List", "list"), ("GetAllocatableResources", "get_allocatable"), ("Get", "get"))
}
pod_resources_get_errors = _counter(
    f"{_PODRESOURCES}_errors_get",
    "Number of requests to the PodResource Get endpoint which returned error.",
    labels=_BY_VERSION,
    bare=True,
)

# Requests to the API server.
requests = _counter(
    "rest_client_requests_total",
    "Number of HTTP requests, partitioned by status code, method, and host.",
    labels=("code", "method", "host"),
)
request_seconds = _histogram(
    "rest_client_request_duration_seconds",
    "Request latency in seconds. Broken down by verb, and host.",
    labels=("verb", "host"),
    buckets=_REQUEST,
)
request_bytes = _histogram(
    "rest_client_request_size_bytes",
    "Request size in bytes. Broken down by verb and host.",
    labels=("verb", "host"),
    buckets=_BYTES,
)
response_bytes = _histogram(
    "rest_client_response_size_bytes",
    "Response size in bytes. Broken down by verb and host.",
    labels=("verb", "host"),
    buckets=_BYTES,
)


class RequestMeter:
    """Satisfies nodekit.kube.request.Meter. A series is found by its labels once, as that costs as much as to count."""

    def answered(self, method: str, host: str, *, code: int | None) -> None:
        """A server answered with this status, or not at all."""
        _answers(code, method, host).inc()

    def asked(self, method: str, host: str, *, seconds: float, sent: int, received: int | None) -> None:
        """A request that was not for a stream has ended."""
        took, sizes, answer_sizes = _requests(method, host)
        took.observe(seconds)
        sizes.observe(sent)
        if received is not None:
            answer_sizes.observe(received)


@functools.cache
def _answers(code: int | None, method: str, host: str) -> Counter:
    return requests.labels(str(code) if code is not None else "<error>", method, host)


@functools.cache
def _requests(method: str, host: str) -> tuple[Histogram, Histogram, Histogram]:
    return request_seconds.labels(method, host), request_bytes.labels(method, host), response_bytes.labels(method, host)
