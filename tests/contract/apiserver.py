"""A genuine etcd and kube-apiserver in a network namespace of their own, for contract tests; the process enters it."""

import contextlib
import datetime
import ipaddress
import os
import ssl
import subprocess
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from pyroute2 import netns

ADDRESS = "198.18.0.1"
TOKEN = "contract-test-token"


@dataclass
class Server:
    """A running API server and how to reach it."""

    folder: Path
    binaries: Path
    processes: dict[str, subprocess.Popen[bytes]] = field(default_factory=dict)
    url: str = f"https://{ADDRESS}:6443"

    def start(self, name: str, *arguments: str) -> None:
        program = self.binaries / name.removesuffix("-2")
        with (self.folder / f"{name}.log").open("ab") as log:
            self.processes[name] = subprocess.Popen([program, *arguments], stdout=log, stderr=log)

    def stop(self, name: str) -> None:
        process = self.processes.pop(name)
        process.kill()
        process.wait(10)

    def start_apiserver(self, *more: str) -> None:
        self._run_apiserver("kube-apiserver", *more)
        self.wait_ready()

    def start_second(self) -> str:
        """Another API server on the same etcd, `kube-apiserver-2`; its URL."""
        self._run_apiserver("kube-apiserver-2", "--secure-port=6444")
        url = f"https://{ADDRESS}:6444"
        self.wait_ready("kube-apiserver-2", url=url)
        return url

    def _run_apiserver(self, name: str, *more: str) -> None:
        self.start(
            name,
            "--etcd-servers=http://127.0.0.1:2379",
            f"--advertise-address={ADDRESS}",
            f"--bind-address={ADDRESS}",
            f"--cert-dir={self.folder}/serving",
            "--authorization-mode=RBAC",
            f"--client-ca-file={self.folder}/ca.crt",
            f"--token-auth-file={self.folder}/tokens.csv",
            "--service-cluster-ip-range=198.18.64.0/24",
            "--service-account-issuer=https://contract.test",
            f"--service-account-key-file={self.folder}/sa.key",
            f"--service-account-signing-key-file={self.folder}/sa.key",
            "--disable-admission-plugins=ServiceAccount",
            "--profiling=false",
            *more,
        )

    def wait_ready(self, name: str = "kube-apiserver", *, url: str = "") -> None:
        context = ssl._create_unverified_context()
        request = urllib.request.Request(f"{url or self.url}/readyz", headers={"Authorization": f"Bearer {TOKEN}"})
        deadline = time.monotonic() + 50
        while time.monotonic() < deadline:
            if self.processes[name].poll() is not None:
                break
            with contextlib.suppress(OSError), urllib.request.urlopen(request, context=context, timeout=2) as answer:
                if answer.status == 200:
                    return
            time.sleep(0.1)
        raise AssertionError((self.folder / f"{name}.log").read_text()[-3000:])

    def kubeconfig(
        self, name: str, *, user: dict[str, Any], servers: str = "", ca: str = "serving/apiserver.crt"
    ) -> Path:
        path = self.folder / f"{name}.conf"
        cluster = {"server": servers or self.url, "certificate-authority": ca}
        path.write_text(
            yaml.safe_dump(
                {
                    "apiVersion": "v1",
                    "kind": "Config",
                    "current-context": "it",
                    "clusters": [{"name": "c", "cluster": cluster}],
                    "users": [{"name": "u", "user": user}],
                    "contexts": [{"name": "it", "context": {"cluster": "c", "user": "u"}}],
                }
            )
        )
        return path

    def write_client(self, stem: str, *, user: str, group: str) -> None:
        """A client certificate `stem.crt` with its key `stem.key`, signed by the CA."""
        usage = x509.ExtendedKeyUsage([x509.ExtendedKeyUsageOID.CLIENT_AUTH])
        self._write(stem, {x509.NameOID.COMMON_NAME: user, x509.NameOID.ORGANIZATION_NAME: group}, usage)

    def write_serving(self, stem: str, *, address: str, ca: str = "ca", hours: tuple[int, int] = (-1, 1)) -> None:
        """A certificate to serve with on an address, that holds between two hours from now."""
        name = x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address(address))])
        self._write(stem, {x509.NameOID.COMMON_NAME: "apiserver"}, name, ca=ca, hours=hours)

    def write_authority(self, stem: str) -> None:
        """A certificate authority `stem.crt` with its key `stem.key`."""
        key, pem = _key()
        name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, f"contract-{stem}")])
        made = _builder(name, name, key).add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        self._store(stem, made.sign(key, hashes.SHA256()), pem)

    def _write(
        self,
        stem: str,
        names: dict[x509.ObjectIdentifier, str],
        extension: x509.ExtensionType,
        *,
        ca: str = "ca",
        hours: tuple[int, int] = (-1, 24),
    ) -> None:
        key, pem = _key()
        name = x509.Name([x509.NameAttribute(kind, value) for kind, value in names.items()])
        authority = x509.load_pem_x509_certificate((self.folder / f"{ca}.crt").read_bytes())
        signer = serialization.load_pem_private_key((self.folder / f"{ca}.key").read_bytes(), None)
        made = _builder(name, authority.subject, key, hours=hours).add_extension(extension, critical=False)
        self._store(stem, made.sign(signer, hashes.SHA256()), pem)

    def _store(self, stem: str, certificate: x509.Certificate, key: bytes) -> None:
        # A server that reads both while they are written would keep what it has.
        for name, data in (("key", key), ("crt", certificate.public_bytes(serialization.Encoding.PEM))):
            fresh = self.folder / f"{stem}.{name}.new"
            fresh.write_bytes(data)
            fresh.rename(self.folder / f"{stem}.{name}")


@contextlib.contextmanager
def running(*more: str) -> Iterator[Server]:
    """Start both, the API server with `more` arguments; KUBEBUILDER_ASSETS names the folder of their binaries."""
    name = f"contract-{os.getpid()}"
    netns.create(name)
    netns.pushns(name)
    try:
        with tempfile.TemporaryDirectory(prefix="contract-") as folder:
            server = Server(Path(folder), Path(os.environ["KUBEBUILDER_ASSETS"]))
            for change in (("link", "set", "lo", "up"), ("addr", "add", f"{ADDRESS}/32", "dev", "lo")):
                subprocess.run(["ip", *change], check=True)
            server.write_authority("ca")
            (server.folder / "sa.key").write_bytes(_key()[1])
            (server.folder / "tokens.csv").write_text(f'{TOKEN},tester,1,"system:masters"\nweak-token,weak,2\n')
            try:
                server.start("etcd", f"--data-dir={folder}/etcd", "--unsafe-no-fsync", "--log-level=error")
                server.start_apiserver(*more)
                yield server
            finally:
                for process in list(server.processes):
                    server.stop(process)
    finally:
        netns.popns()
        netns.remove(name)


def _key() -> tuple[ec.EllipticCurvePrivateKey, bytes]:
    key = ec.generate_private_key(ec.SECP256R1())
    pem = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.TraditionalOpenSSL, serialization.NoEncryption()
    )
    return key, pem


def _builder(
    subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePrivateKey, *, hours: tuple[int, int] = (-1, 24)
) -> x509.CertificateBuilder:
    now = datetime.datetime.now(datetime.UTC)
    begins, ends = hours
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now + datetime.timedelta(hours=begins))
        .not_valid_after(now + datetime.timedelta(hours=ends))
    )
