"""The fields of Kubernetes' own Pod, as Go names, types and spells them in JSON: what a static Pod's UID is made of.

Printed by tests/unit/pykubelet/decide/static_uids/main.go from the types of k8s.io/kubernetes v1.37.2, by reflection.
"""

import functools
from collections.abc import Mapping
from typing import Final, NamedTuple

TABLE: Final = """
core.AWSElasticBlockStoreVolumeSource: VolumeID string volumeID; FSType string fsType; Partition int32 partition;
  ReadOnly bool readOnly
core.Affinity: NodeAffinity *core.NodeAffinity nodeAffinity; PodAffinity *core.PodAffinity podAffinity;
  PodAntiAffinity *core.PodAntiAffinity podAntiAffinity
core.AppArmorProfile: Type core.AppArmorProfileType type; LocalhostProfile *string localhostProfile
core.AzureDiskVolumeSource: DiskName string diskName; DataDiskURI string diskURI; CachingMode
  *core.AzureDataDiskCachingMode cachingMode; FSType *string fsType; ReadOnly *bool readOnly; Kind
  *core.AzureDataDiskKind kind
core.AzureFileVolumeSource: SecretName string secretName; ShareName string shareName; ReadOnly bool readOnly
core.CSIVolumeSource: Driver string driver; ReadOnly *bool readOnly; FSType *string fsType; VolumeAttributes
  map[string]string volumeAttributes; NodePublishSecretRef *core.LocalObjectReference nodePublishSecretRef
core.Capabilities: Add []core.Capability add; Drop []core.Capability drop
core.CephFSVolumeSource: Monitors []string monitors; Path string path; User string user; SecretFile string secretFile;
  SecretRef *core.LocalObjectReference secretRef; ReadOnly bool readOnly
core.CinderVolumeSource: VolumeID string volumeID; FSType string fsType; ReadOnly bool readOnly; SecretRef
  *core.LocalObjectReference secretRef
core.ClusterTrustBundleProjection: Name *string name; SignerName *string signerName; LabelSelector *v1.LabelSelector
  labelSelector; Optional *bool optional; Path string path; User *int64 user
core.ConfigMapEnvSource: LocalObjectReference core.LocalObjectReference -; Optional *bool optional
core.ConfigMapKeySelector: LocalObjectReference core.LocalObjectReference -; Key string key; Optional *bool optional
core.ConfigMapProjection: LocalObjectReference core.LocalObjectReference -; Items []core.KeyToPath items; Optional
  *bool optional
core.ConfigMapVolumeSource: LocalObjectReference core.LocalObjectReference -; Items []core.KeyToPath items;
  DefaultMode *int32 defaultMode; Optional *bool optional; DefaultUser *int64 defaultUser
core.Container: Name string name; Image string image; Command []string command; Args []string args; WorkingDir string
  workingDir; Ports []core.ContainerPort ports; EnvFrom []core.EnvFromSource envFrom; Env []core.EnvVar env; Resources
  core.ResourceRequirements resources; ResizePolicy []core.ContainerResizePolicy resizePolicy; RestartPolicy
  *core.ContainerRestartPolicy restartPolicy; RestartPolicyRules []core.ContainerRestartRule restartPolicyRules;
  VolumeMounts []core.VolumeMount volumeMounts; VolumeDevices []core.VolumeDevice volumeDevices; LivenessProbe
  *core.Probe livenessProbe; ReadinessProbe *core.Probe readinessProbe; StartupProbe *core.Probe startupProbe;
  Lifecycle *core.Lifecycle lifecycle; TerminationMessagePath string terminationMessagePath; TerminationMessagePolicy
  core.TerminationMessagePolicy terminationMessagePolicy; ImagePullPolicy core.PullPolicy imagePullPolicy;
  SecurityContext *core.SecurityContext securityContext; Stdin bool stdin; StdinOnce bool stdinOnce; TTY bool tty
core.ContainerPort: Name string name; HostPort int32 hostPort; ContainerPort int32 containerPort; Protocol
  core.Protocol protocol; HostIP string hostIP
core.ContainerResizePolicy: ResourceName core.ResourceName resourceName; RestartPolicy
  core.ResourceResizeRestartPolicy restartPolicy
core.ContainerRestartRule: Action core.ContainerRestartRuleAction action; ExitCodes
  *core.ContainerRestartRuleOnExitCodes exitCodes
core.ContainerRestartRuleOnExitCodes: Operator core.ContainerRestartRuleOnExitCodesOperator operator; Values []int32
  values
core.DownwardAPIProjection: Items []core.DownwardAPIVolumeFile items
core.DownwardAPIVolumeFile: Path string path; FieldRef *core.ObjectFieldSelector fieldRef; ResourceFieldRef
  *core.ResourceFieldSelector resourceFieldRef; Mode *int32 mode; User *int64 user
core.DownwardAPIVolumeSource: Items []core.DownwardAPIVolumeFile items; DefaultMode *int32 defaultMode; DefaultUser
  *int64 defaultUser
core.EmptyDirVolumeSource: Medium core.StorageMedium medium; SizeLimit *resource.Quantity sizeLimit; Mode *int32 mode
core.EnvFromSource: Prefix string prefix; ConfigMapRef *core.ConfigMapEnvSource configMapRef; SecretRef
  *core.SecretEnvSource secretRef
core.EnvVar: Name string name; Value string value; ValueFrom *core.EnvVarSource valueFrom
core.EnvVarSource: FieldRef *core.ObjectFieldSelector fieldRef; ResourceFieldRef *core.ResourceFieldSelector
  resourceFieldRef; ConfigMapKeyRef *core.ConfigMapKeySelector configMapKeyRef; SecretKeyRef *core.SecretKeySelector
  secretKeyRef; FileKeyRef *core.FileKeySelector fileKeyRef
core.EphemeralContainer: EphemeralContainerCommon core.EphemeralContainerCommon -; TargetContainerName string
  targetContainerName
core.EphemeralContainerCommon: Name string name; Image string image; Command []string command; Args []string args;
  WorkingDir string workingDir; Ports []core.ContainerPort ports; EnvFrom []core.EnvFromSource envFrom; Env
  []core.EnvVar env; Resources core.ResourceRequirements resources; ResizePolicy []core.ContainerResizePolicy
  resizePolicy; RestartPolicy *core.ContainerRestartPolicy restartPolicy; RestartPolicyRules
  []core.ContainerRestartRule restartPolicyRules; VolumeMounts []core.VolumeMount volumeMounts; VolumeDevices
  []core.VolumeDevice volumeDevices; LivenessProbe *core.Probe livenessProbe; ReadinessProbe *core.Probe
  readinessProbe; StartupProbe *core.Probe startupProbe; Lifecycle *core.Lifecycle lifecycle; TerminationMessagePath
  string terminationMessagePath; TerminationMessagePolicy core.TerminationMessagePolicy terminationMessagePolicy;
  ImagePullPolicy core.PullPolicy imagePullPolicy; SecurityContext *core.SecurityContext securityContext; Stdin bool
  stdin; StdinOnce bool stdinOnce; TTY bool tty
core.EphemeralVolumeSource: VolumeClaimTemplate *core.PersistentVolumeClaimTemplate volumeClaimTemplate
core.EvictionResponder: Name string name; Priority *int32 priority
core.ExecAction: Command []string command
core.FCVolumeSource: TargetWWNs []string targetWWNs; Lun *int32 lun; FSType string fsType; ReadOnly bool readOnly;
  WWIDs []string wwids
core.FileKeySelector: VolumeName string volumeName; Path string path; Key string key; Optional *bool optional
core.FlexVolumeSource: Driver string driver; FSType string fsType; SecretRef *core.LocalObjectReference secretRef;
  ReadOnly bool readOnly; Options map[string]string options
core.FlockerVolumeSource: DatasetName string datasetName; DatasetUUID string datasetUUID
core.GCEPersistentDiskVolumeSource: PDName string pdName; FSType string fsType; Partition int32 partition; ReadOnly
  bool readOnly
core.GRPCAction: Port int32 port; Service *string service; Mode *core.GRPCProbeMode mode
core.GitRepoVolumeSource: Repository string repository; Revision string revision; Directory string directory
core.GlusterfsVolumeSource: EndpointsName string endpoints; Path string path; ReadOnly bool readOnly
core.HTTPGetAction: Path string path; Port intstr.IntOrString port; Host string host; Scheme core.URIScheme scheme;
  HTTPHeaders []core.HTTPHeader httpHeaders; Protocol *core.HTTPProtocol protocol
core.HTTPHeader: Name string name; Value string value
core.HostAlias: IP string ip; Hostnames []string hostnames
core.HostPathVolumeSource: Path string path; Type *core.HostPathType type
core.ISCSIVolumeSource: TargetPortal string targetPortal; IQN string iqn; Lun int32 lun; ISCSIInterface string
  iscsiInterface; FSType string fsType; ReadOnly bool readOnly; Portals []string portals; DiscoveryCHAPAuth bool
  chapAuthDiscovery; SessionCHAPAuth bool chapAuthSession; SecretRef *core.LocalObjectReference secretRef;
  InitiatorName *string initiatorName
core.ImageVolumeSource: Reference string reference; PullPolicy core.PullPolicy pullPolicy
core.KeyToPath: Key string key; Path string path; Mode *int32 mode; User *int64 user
core.Lifecycle: PostStart *core.LifecycleHandler postStart; PreStop *core.LifecycleHandler preStop; StopSignal
  *core.Signal stopSignal
core.LifecycleHandler: Exec *core.ExecAction exec; HTTPGet *core.HTTPGetAction httpGet; TCPSocket
  *core.TCPSocketAction tcpSocket; Sleep *core.SleepAction sleep
core.LocalObjectReference: Name string name
core.NFSVolumeSource: Server string server; Path string path; ReadOnly bool readOnly
core.NodeAffinity: RequiredDuringSchedulingIgnoredDuringExecution *core.NodeSelector
  requiredDuringSchedulingIgnoredDuringExecution; PreferredDuringSchedulingIgnoredDuringExecution
  []core.PreferredSchedulingTerm preferredDuringSchedulingIgnoredDuringExecution
core.NodeSelector: NodeSelectorTerms []core.NodeSelectorTerm nodeSelectorTerms
core.NodeSelectorRequirement: Key string key; Operator core.NodeSelectorOperator operator; Values []string values
core.NodeSelectorTerm: MatchExpressions []core.NodeSelectorRequirement matchExpressions; MatchFields
  []core.NodeSelectorRequirement matchFields
core.ObjectFieldSelector: APIVersion string apiVersion; FieldPath string fieldPath
core.PersistentVolumeClaimSpec: AccessModes []core.PersistentVolumeAccessMode accessModes; Selector *v1.LabelSelector
  selector; Resources core.VolumeResourceRequirements resources; VolumeName string volumeName; StorageClassName
  *string storageClassName; VolumeMode *core.PersistentVolumeMode volumeMode; DataSource
  *core.TypedLocalObjectReference dataSource; DataSourceRef *core.TypedObjectReference dataSourceRef;
  VolumeAttributesClassName *string volumeAttributesClassName
core.PersistentVolumeClaimTemplate: ObjectMeta v1.ObjectMeta metadata; Spec core.PersistentVolumeClaimSpec spec
core.PersistentVolumeClaimVolumeSource: ClaimName string claimName; ReadOnly bool readOnly
core.PhotonPersistentDiskVolumeSource: PdID string pdID; FSType string fsType
core.Pod: TypeMeta v1.TypeMeta -; ObjectMeta v1.ObjectMeta metadata; Spec core.PodSpec spec; Status core.PodStatus
  status
core.PodAffinity: RequiredDuringSchedulingIgnoredDuringExecution []core.PodAffinityTerm
  requiredDuringSchedulingIgnoredDuringExecution; PreferredDuringSchedulingIgnoredDuringExecution
  []core.WeightedPodAffinityTerm preferredDuringSchedulingIgnoredDuringExecution
core.PodAffinityTerm: LabelSelector *v1.LabelSelector labelSelector; Namespaces []string namespaces; TopologyKey
  string topologyKey; NamespaceSelector *v1.LabelSelector namespaceSelector; MatchLabelKeys []string matchLabelKeys;
  MismatchLabelKeys []string mismatchLabelKeys
core.PodAntiAffinity: RequiredDuringSchedulingIgnoredDuringExecution []core.PodAffinityTerm
  requiredDuringSchedulingIgnoredDuringExecution; PreferredDuringSchedulingIgnoredDuringExecution
  []core.WeightedPodAffinityTerm preferredDuringSchedulingIgnoredDuringExecution
core.PodCertificateProjection: SignerName string signerName; KeyType string keyType; MaxExpirationSeconds *int32
  maxExpirationSeconds; CredentialBundlePath string credentialBundlePath; KeyPath string keyPath; CertificateChainPath
  string certificateChainPath; UserAnnotations map[string]string userAnnotations; User *int64 user
core.PodDNSConfig: Nameservers []string nameservers; Searches []string searches; Options []core.PodDNSConfigOption
  options
core.PodDNSConfigOption: Name string name; Value *string value
core.PodOS: Name core.OSName name
core.PodReadinessGate: ConditionType core.PodConditionType conditionType
core.PodResourceClaim: Name string name; ResourceClaimName *string resourceClaimName; ResourceClaimTemplateName
  *string resourceClaimTemplateName
core.PodSchedulingGate: Name string name
core.PodSchedulingGroup: PodGroupName *string podGroupName
core.PodSecurityContext: SELinuxOptions *core.SELinuxOptions seLinuxOptions; WindowsOptions
  *core.WindowsSecurityContextOptions windowsOptions; RunAsUser *int64 runAsUser; RunAsGroup *int64 runAsGroup;
  RunAsNonRoot *bool runAsNonRoot; SupplementalGroups []int64 supplementalGroups; SupplementalGroupsPolicy
  *core.SupplementalGroupsPolicy supplementalGroupsPolicy; FSGroup *int64 fsGroup; Sysctls []core.Sysctl sysctls;
  FSGroupChangePolicy *core.PodFSGroupChangePolicy fsGroupChangePolicy; SeccompProfile *core.SeccompProfile
  seccompProfile; AppArmorProfile *core.AppArmorProfile appArmorProfile; SELinuxChangePolicy
  *core.PodSELinuxChangePolicy seLinuxChangePolicy
core.PodSpec: Volumes []core.Volume volumes; InitContainers []core.Container initContainers; Containers
  []core.Container containers; EphemeralContainers []core.EphemeralContainer ephemeralContainers; RestartPolicy
  core.RestartPolicy restartPolicy; TerminationGracePeriodSeconds *int64 terminationGracePeriodSeconds;
  ActiveDeadlineSeconds *int64 activeDeadlineSeconds; DNSPolicy core.DNSPolicy dnsPolicy; NodeSelector
  map[string]string nodeSelector; ServiceAccountName string serviceAccountName; DeprecatedServiceAccount string
  serviceAccount; AutomountServiceAccountToken *bool automountServiceAccountToken; NodeName string nodeName;
  HostNetwork bool hostNetwork; HostPID bool hostPID; HostIPC bool hostIPC; ShareProcessNamespace *bool
  shareProcessNamespace; SecurityContext *core.PodSecurityContext securityContext; ImagePullSecrets
  []core.LocalObjectReference imagePullSecrets; Hostname string hostname; Subdomain string subdomain; Affinity
  *core.Affinity affinity; SchedulerName string schedulerName; Tolerations []core.Toleration tolerations; HostAliases
  []core.HostAlias hostAliases; PriorityClassName string priorityClassName; Priority *int32 priority; DNSConfig
  *core.PodDNSConfig dnsConfig; ReadinessGates []core.PodReadinessGate readinessGates; RuntimeClassName *string
  runtimeClassName; EnableServiceLinks *bool enableServiceLinks; PreemptionPolicy *core.PreemptionPolicy
  preemptionPolicy; Overhead core.ResourceList overhead; TopologySpreadConstraints []core.TopologySpreadConstraint
  topologySpreadConstraints; SetHostnameAsFQDN *bool setHostnameAsFQDN; OS *core.PodOS os; HostUsers *bool hostUsers;
  SchedulingGates []core.PodSchedulingGate schedulingGates; ResourceClaims []core.PodResourceClaim resourceClaims;
  Resources *core.ResourceRequirements resources; HostnameOverride *string hostnameOverride; SchedulingGroup
  *core.PodSchedulingGroup schedulingGroup; EvictionResponders []core.EvictionResponder evictionResponders
core.PodStatus: ObservedGeneration int64 observedGeneration; Phase core.PodPhase phase; Conditions []core.PodCondition
  conditions; Message string message; Reason string reason; NominatedNodeName string nominatedNodeName; HostIP string
  hostIP; HostIPs []core.HostIP hostIPs; PodIP string podIP; PodIPs []core.PodIP podIPs; StartTime *v1.Time startTime;
  InitContainerStatuses []core.ContainerStatus initContainerStatuses; ContainerStatuses []core.ContainerStatus
  containerStatuses; QOSClass core.PodQOSClass qosClass; EphemeralContainerStatuses []core.ContainerStatus
  ephemeralContainerStatuses; Resize core.PodResizeStatus resize; ResourceClaimStatuses []core.PodResourceClaimStatus
  resourceClaimStatuses; ExtendedResourceClaimStatus *core.PodExtendedResourceClaimStatus extendedResourceClaimStatus;
  AllocatedResources core.ResourceList allocatedResources; Resources *core.ResourceRequirements resources;
  NodeAllocatableResourceClaimStatuses []core.NodeAllocatableResourceClaimStatus nodeAllocatableResourceClaimStatuses;
  VolumeHealth []core.PodVolumeHealth volumeHealth
core.PortworxVolumeSource: VolumeID string volumeID; FSType string fsType; ReadOnly bool readOnly
core.PreferredSchedulingTerm: Weight int32 weight; Preference core.NodeSelectorTerm preference
core.Probe: ProbeHandler core.ProbeHandler -; InitialDelaySeconds int32 initialDelaySeconds; TimeoutSeconds int32
  timeoutSeconds; PeriodSeconds int32 periodSeconds; SuccessThreshold int32 successThreshold; FailureThreshold int32
  failureThreshold; TerminationGracePeriodSeconds *int64 terminationGracePeriodSeconds
core.ProbeHandler: Exec *core.ExecAction exec; HTTPGet *core.HTTPGetAction httpGet; TCPSocket *core.TCPSocketAction
  tcpSocket; GRPC *core.GRPCAction grpc
core.ProjectedVolumeSource: Sources []core.VolumeProjection sources; DefaultMode *int32 defaultMode; DefaultUser
  *int64 defaultUser
core.QuobyteVolumeSource: Registry string registry; Volume string volume; ReadOnly bool readOnly; User string user;
  Group string group; Tenant string tenant
core.RBDVolumeSource: CephMonitors []string monitors; RBDImage string image; FSType string fsType; RBDPool string
  pool; RadosUser string user; Keyring string keyring; SecretRef *core.LocalObjectReference secretRef; ReadOnly bool
  readOnly
core.ResourceClaim: Name string name; Request string request
core.ResourceFieldSelector: ContainerName string containerName; Resource string resource; Divisor resource.Quantity
  divisor
core.ResourceRequirements: Limits core.ResourceList limits; Requests core.ResourceList requests; Claims
  []core.ResourceClaim claims
core.SELinuxOptions: User string user; Role string role; Type string type; Level string level
core.ScaleIOVolumeSource: Gateway string gateway; System string system; SecretRef *core.LocalObjectReference
  secretRef; SSLEnabled bool sslEnabled; ProtectionDomain string protectionDomain; StoragePool string storagePool;
  StorageMode string storageMode; VolumeName string volumeName; FSType string fsType; ReadOnly bool readOnly
core.SeccompProfile: Type core.SeccompProfileType type; LocalhostProfile *string localhostProfile
core.SecretEnvSource: LocalObjectReference core.LocalObjectReference -; Optional *bool optional
core.SecretKeySelector: LocalObjectReference core.LocalObjectReference -; Key string key; Optional *bool optional
core.SecretProjection: LocalObjectReference core.LocalObjectReference -; Items []core.KeyToPath items; Optional *bool
  optional
core.SecretVolumeSource: SecretName string secretName; Items []core.KeyToPath items; DefaultMode *int32 defaultMode;
  Optional *bool optional; DefaultUser *int64 defaultUser
core.SecurityContext: Capabilities *core.Capabilities capabilities; Privileged *bool privileged; SELinuxOptions
  *core.SELinuxOptions seLinuxOptions; WindowsOptions *core.WindowsSecurityContextOptions windowsOptions; RunAsUser
  *int64 runAsUser; RunAsGroup *int64 runAsGroup; RunAsNonRoot *bool runAsNonRoot; ReadOnlyRootFilesystem *bool
  readOnlyRootFilesystem; AllowPrivilegeEscalation *bool allowPrivilegeEscalation; ProcMount *core.ProcMountType
  procMount; SeccompProfile *core.SeccompProfile seccompProfile; AppArmorProfile *core.AppArmorProfile appArmorProfile
core.ServiceAccountTokenProjection: Audience string audience; ExpirationSeconds *int64 expirationSeconds; Path string
  path; User *int64 user
core.SleepAction: Seconds int64 seconds
core.StorageOSVolumeSource: VolumeName string volumeName; VolumeNamespace string volumeNamespace; FSType string
  fsType; ReadOnly bool readOnly; SecretRef *core.LocalObjectReference secretRef
core.Sysctl: Name string name; Value string value
core.TCPSocketAction: Port intstr.IntOrString port; Host string host
core.Toleration: Key string key; Operator core.TolerationOperator operator; Value string value; Effect
  core.TaintEffect effect; TolerationSeconds *int64 tolerationSeconds
core.TopologySpreadConstraint: MaxSkew int32 maxSkew; TopologyKey string topologyKey; WhenUnsatisfiable
  core.UnsatisfiableConstraintAction whenUnsatisfiable; LabelSelector *v1.LabelSelector labelSelector; MinDomains
  *int32 minDomains; NodeAffinityPolicy *core.NodeInclusionPolicy nodeAffinityPolicy; NodeTaintsPolicy
  *core.NodeInclusionPolicy nodeTaintsPolicy; MatchLabelKeys []string matchLabelKeys
core.TypedLocalObjectReference: APIGroup *string apiGroup; Kind string kind; Name string name
core.TypedObjectReference: APIGroup *string apiGroup; Kind string kind; Name string name; Namespace *string namespace
core.Volume: Name string name; VolumeSource core.VolumeSource -
core.VolumeDevice: Name string name; DevicePath string devicePath
core.VolumeMount: Name string name; ReadOnly bool readOnly; RecursiveReadOnly *core.RecursiveReadOnlyMode
  recursiveReadOnly; MountPath string mountPath; SubPath string subPath; MountPropagation *core.MountPropagationMode
  mountPropagation; SubPathExpr string subPathExpr; BindMountOptions []string bindMountOptions
core.VolumeProjection: Secret *core.SecretProjection secret; DownwardAPI *core.DownwardAPIProjection downwardAPI;
  ConfigMap *core.ConfigMapProjection configMap; ServiceAccountToken *core.ServiceAccountTokenProjection
  serviceAccountToken; ClusterTrustBundle *core.ClusterTrustBundleProjection clusterTrustBundle; PodCertificate
  *core.PodCertificateProjection podCertificate
core.VolumeResourceRequirements: Limits core.ResourceList limits; Requests core.ResourceList requests
core.VolumeSource: HostPath *core.HostPathVolumeSource hostPath; EmptyDir *core.EmptyDirVolumeSource emptyDir;
  GCEPersistentDisk *core.GCEPersistentDiskVolumeSource gcePersistentDisk; AWSElasticBlockStore
  *core.AWSElasticBlockStoreVolumeSource awsElasticBlockStore; GitRepo *core.GitRepoVolumeSource gitRepo; Secret
  *core.SecretVolumeSource secret; NFS *core.NFSVolumeSource nfs; ISCSI *core.ISCSIVolumeSource iscsi; Glusterfs
  *core.GlusterfsVolumeSource glusterfs; PersistentVolumeClaim *core.PersistentVolumeClaimVolumeSource
  persistentVolumeClaim; RBD *core.RBDVolumeSource rbd; FlexVolume *core.FlexVolumeSource flexVolume; Cinder
  *core.CinderVolumeSource cinder; CephFS *core.CephFSVolumeSource cephfs; Flocker *core.FlockerVolumeSource flocker;
  DownwardAPI *core.DownwardAPIVolumeSource downwardAPI; FC *core.FCVolumeSource fc; AzureFile
  *core.AzureFileVolumeSource azureFile; ConfigMap *core.ConfigMapVolumeSource configMap; VsphereVolume
  *core.VsphereVirtualDiskVolumeSource vsphereVolume; Quobyte *core.QuobyteVolumeSource quobyte; AzureDisk
  *core.AzureDiskVolumeSource azureDisk; PhotonPersistentDisk *core.PhotonPersistentDiskVolumeSource
  photonPersistentDisk; Projected *core.ProjectedVolumeSource projected; PortworxVolume *core.PortworxVolumeSource
  portworxVolume; ScaleIO *core.ScaleIOVolumeSource scaleIO; StorageOS *core.StorageOSVolumeSource storageos; CSI
  *core.CSIVolumeSource csi; Ephemeral *core.EphemeralVolumeSource ephemeral; Image *core.ImageVolumeSource image
core.VsphereVirtualDiskVolumeSource: VolumePath string volumePath; FSType string fsType; StoragePolicyName string
  storagePolicyName; StoragePolicyID string storagePolicyID
core.WeightedPodAffinityTerm: Weight int32 weight; PodAffinityTerm core.PodAffinityTerm podAffinityTerm
core.WindowsSecurityContextOptions: GMSACredentialSpecName *string gmsaCredentialSpecName; GMSACredentialSpec *string
  gmsaCredentialSpec; RunAsUserName *string runAsUserName; HostProcess *bool hostProcess
v1.LabelSelector: MatchLabels map[string]string matchLabels; MatchExpressions []v1.LabelSelectorRequirement
  matchExpressions
v1.LabelSelectorRequirement: Key string key; Operator v1.LabelSelectorOperator operator; Values []string values
v1.ObjectMeta: Name string name; GenerateName string generateName; Namespace string namespace; SelfLink string
  selfLink; UID types.UID uid; ResourceVersion string resourceVersion; Generation int64 generation; CreationTimestamp
  v1.Time creationTimestamp; DeletionTimestamp *v1.Time deletionTimestamp; DeletionGracePeriodSeconds *int64
  deletionGracePeriodSeconds; Labels map[string]string labels; Annotations map[string]string annotations;
  OwnerReferences []v1.OwnerReference ownerReferences; Finalizers []string finalizers; ManagedFields
  []v1.ManagedFieldsEntry managedFields
v1.OwnerReference: APIVersion string apiVersion; Kind string kind; Name string name; UID types.UID uid; Controller
  *bool controller; BlockOwnerDeletion *bool blockOwnerDeletion
v1.TypeMeta: Kind string kind; APIVersion string apiVersion
"""


class Field(NamedTuple):
    """A field of a struct; `key` is its name in JSON, "-" where the fields of an embedded struct stand beside it."""

    name: str
    type: str
    key: str


@functools.cache
def structs() -> Mapping[str, tuple[Field, ...]]:
    """Every struct by its Go name."""
    found: dict[str, tuple[Field, ...]] = {}
    for line in TABLE.replace("\n  ", " ").strip().splitlines():
        name, _, fields = line.partition(": ")
        found[name] = tuple(Field(*field.split(" ")) for field in fields.split("; "))
    return found
