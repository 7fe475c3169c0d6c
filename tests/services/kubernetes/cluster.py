"""The control plane's processes, and the credentials to talk to it."""

from __future__ import annotations

import json
import os
import ssl
import subprocess
import urllib.error
import urllib.request
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import Self

from tests.services.kubernetes.certificates import Authority
from tests.services.kubernetes.program import program
from tests.services.service import Service, lasting_port


class Etcd(Service):
    name = "etcd"

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.port = lasting_port()

    @property
    def ports(self) -> dict[str, int]:
        return {"etcd": self.port}

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def command(self) -> list[str]:
        return [
            *(str(program()), "etcd", f"--data-dir={self.folder / 'data'}", "--unsafe-no-fsync"),
            *(f"--listen-client-urls={self.url}", f"--advertise-client-urls={self.url}"),
            *("--listen-peer-urls=http://127.0.0.1:0", "--log-level=warn"),
        ]

    def answers(self) -> bool:
        return _ok(f"{self.url}/health", None)


class ApiServer(Service):
    name = "kube-apiserver"
    patience = 180.0

    def __init__(self, folder: Path, etcd: Etcd, authority: Authority) -> None:
        super().__init__(folder)
        self.port = lasting_port()
        self.etcd = etcd
        self.authority = authority

    @property
    def ports(self) -> dict[str, int]:
        return {"https": self.port}

    @property
    def url(self) -> str:
        return f"https://127.0.0.1:{self.port}"

    def command(self) -> list[str]:
        pki = self.authority.folder
        crt, key = self.authority.issue("kube-apiserver", ["system:masters"])
        return [
            *(str(program()), "kube-apiserver", f"--etcd-servers={self.etcd.url}"),
            *("--bind-address=127.0.0.1", f"--secure-port={self.port}"),
            # Nobody reaches it by an address of the cluster: there are no services and no pods' network.
            *("--advertise-address=10.255.0.1", "--endpoint-reconciler-type=none"),
            *("--service-cluster-ip-range=10.96.0.0/16", "--authorization-mode=Node,RBAC"),
            *(
                f"--client-ca-file={self.authority.ca}",
                f"--tls-cert-file={crt}",
                f"--tls-private-key-file={key}",
            ),
            *(f"--kubelet-client-certificate={crt}", f"--kubelet-client-key={key}"),
            f"--kubelet-certificate-authority={self.authority.ca}",
            "--service-account-issuer=https://kubernetes.default.svc",
            *(
                f"--service-account-key-file={pki / 'sa.pub'}",
                f"--service-account-signing-key-file={pki / 'sa.key'}",
            ),
        ]

    def answers(self) -> bool:
        return _ok(f"{self.url}/readyz", self.authority)


class Controllers(Service):
    name = "kube-controller-manager"

    def __init__(self, folder: Path, kubeconfig: Path, authority: Authority) -> None:
        super().__init__(folder)
        self.kubeconfig = kubeconfig
        self.authority = authority
        self.port = lasting_port()

    @property
    def ports(self) -> dict[str, int]:
        return {"https": self.port}

    def command(self) -> list[str]:
        crt, key = self.authority.issue("kube-controller-manager-server")
        return [
            *(str(program()), "kube-controller-manager", f"--kubeconfig={self.kubeconfig}"),
            *("--bind-address=127.0.0.1", f"--secure-port={self.port}", "--leader-elect=false"),
            *(f"--tls-cert-file={crt}", f"--tls-private-key-file={key}", "--use-service-account-credentials"),
            f"--service-account-private-key-file={self.authority.folder / 'sa.key'}",
            f"--root-ca-file={self.authority.ca}",
        ]

    def answers(self) -> bool:
        return _ok(f"https://127.0.0.1:{self.port}/healthz", self.authority)


class ControlPlane:
    """etcd, apiserver and controllers in a folder of their own, for as long as the block lasts; needs no root."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.authority = Authority(folder / "pki")
        self.etcd = Etcd(folder / "etcd")
        self.server = ApiServer(folder / "apiserver", self.etcd, self.authority)
        self.admin = self.kubeconfig("admin", ["system:masters"])
        self.controllers = Controllers(
            folder / "controllers", self.kubeconfig("system:kube-controller-manager"), self.authority
        )
        self._started = ExitStack()

    def kubeconfig(self, user: str, groups: Sequence[str] = (), namespace: str = "default") -> Path:
        """A kubeconfig of somebody whom the apiserver knows by a certificate; RBAC says what they may."""
        crt, key = self.authority.issue(user, groups)
        path = self.folder / f"{user.replace(':', '-')}.kubeconfig"
        cluster = {"server": self.server.url, "certificate-authority": str(self.authority.ca)}
        context = {"cluster": "test", "user": user, "namespace": namespace}
        whole = {
            "apiVersion": "v1",
            "kind": "Config",
            "clusters": [{"name": "test", "cluster": cluster}],
            "users": [{"name": user, "user": {"client-certificate": str(crt), "client-key": str(key)}}],
            "contexts": [{"name": "test", "context": context}],
            "current-context": "test",
        }
        path.write_text(json.dumps(whole))
        return path

    def kubectl(
        self, *arguments: str, given: str | None = None, kubeconfig: Path | None = None
    ) -> subprocess.CompletedProcess[str]:
        """``kubectl ARGUMENTS`` as the administrator, ``given`` on its standard input."""
        env = {**os.environ, "KUBECONFIG": str(kubeconfig or self.admin), "HOME": str(self.folder)}
        return subprocess.run(
            [str(program()), "kubectl", *arguments],
            env=env,
            input=given or "",
            capture_output=True,
            text=True,
            timeout=120,
        )

    def __enter__(self) -> Self:
        with ExitStack() as stack:
            for service in (self.etcd, self.server, self.controllers):
                stack.enter_context(service)
            self._started = stack.pop_all()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._started.close()


def _ok(url: str, authority: Authority | None) -> bool:
    context = None
    if authority is not None:
        context = ssl.create_default_context(cafile=str(authority.ca))
        context.load_cert_chain(*authority.issue("probe", ["system:masters"]))
    try:
        with urllib.request.urlopen(url, timeout=2, context=context) as answer:
            return bool(answer.status == 200)
    except (urllib.error.URLError, OSError):
        return False
