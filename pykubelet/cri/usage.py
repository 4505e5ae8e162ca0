"""CRI's statistics and metrics calls over gRPC, in plain values."""

from collections.abc import Mapping

from cri_protos import api_pb2 as pb
from pykubelet.cri import channel, client, convert_stats
from pykubelet.model import stats
from pykubelet.model.ids import ContainerId, SandboxId


class Usage(client.Client):
    """Satisfies runtime_api.UsageCalls."""

    async def container_stats(self, container: ContainerId) -> stats.ContainerStats:
        request = pb.ContainerStatsRequest(container_id=container)
        answer = await channel.call(self._stub.ContainerStats, request, target=container, timeout=self._timeout)
        return convert_stats.container(answer.stats)

    async def list_container_stats(
        self, *, sandbox: SandboxId | None = None, labels: Mapping[str, str] | None = None
    ) -> tuple[stats.ContainerStats, ...]:
        wanted = pb.ContainerStatsFilter(pod_sandbox_id=sandbox or "", label_selector=labels)
        request = pb.ListContainerStatsRequest(filter=wanted)
        answer = await channel.call(self._stub.ListContainerStats, request, timeout=self._timeout)
        return tuple(convert_stats.container(s) for s in answer.stats)

    async def sandbox_stats(self, sandbox: SandboxId) -> stats.SandboxStats:
        request = pb.PodSandboxStatsRequest(pod_sandbox_id=sandbox)
        answer = await channel.call(self._stub.PodSandboxStats, request, target=sandbox, timeout=self._timeout)
        return convert_stats.sandbox(answer.stats)

    async def list_sandbox_stats(self, *, labels: Mapping[str, str] | None = None) -> tuple[stats.SandboxStats, ...]:
        request = pb.ListPodSandboxStatsRequest(filter=pb.PodSandboxStatsFilter(label_selector=labels))
        answer = await channel.call(self._stub.ListPodSandboxStats, request, timeout=self._timeout)
        return tuple(convert_stats.sandbox(s) for s in answer.stats)

    async def metric_descriptors(self) -> tuple[stats.MetricDescriptor, ...]:
        request = pb.ListMetricDescriptorsRequest()
        answer = await channel.call(self._stub.ListMetricDescriptors, request, timeout=self._timeout)
        return tuple(convert_stats.descriptor(d) for d in answer.descriptors)

    async def sandbox_metrics(self) -> tuple[stats.SandboxMetrics, ...]:
        request = pb.ListPodSandboxMetricsRequest()
        answer = await channel.call(self._stub.ListPodSandboxMetrics, request, timeout=self._timeout)
        return tuple(convert_stats.metrics(m) for m in answer.pod_metrics)
