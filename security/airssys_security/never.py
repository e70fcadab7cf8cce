"""What nobody gets, whatever was granted: a deny list with a strong default, above every trust level and mode.

The default holds the kernel's own file systems, credentials wherever they usually lie, sockets that hand out the
machine, and the addresses from which clouds give out keys. The host adds its own state folder.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from airssys_security.capabilities import CapabilitySet
from airssys_security.patterns.filesystem import normalise

__all__ = ("NEVER_ADDRESSES", "NEVER_NAMES", "NEVER_PATHS", "as_pattern", "never_list")

NEVER_PATHS: Final = (
    # The kernel's windows: other processes' memory, descriptors and environments, devices, settings.
    "/proc/**",
    "/sys/**",
    "/dev/**",
    # Accounts and the machine's own keys.
    "/etc/{shadow,shadow-,gshadow,gshadow-,sudoers}",
    "/etc/sudoers.d/**",
    "/etc/ssh/ssh_host_*",
    "/etc/ssl/private/**",
    "/etc/krb5.keytab",
    # Sockets and secrets of daemons: who speaks to them owns the machine.
    "/{run,var/run}/{docker,containerd,crio,k3s,podman,dbus,systemd,secrets,credentials}/**",
    "/{run,var/run}/docker.sock",
    "/{run,var/run}/user/**",
    "/var/lib/kubelet/**",
    "/etc/kubernetes/**",
    # Credentials of people and clouds, wherever a home folder may be.
    "/**/{.ssh,.gnupg,.aws,.azure,.kube,.docker,.oci,.aliyun,.bluemix,.password-store}/**",
    "/**/.config/{gcloud,gh,op,hub,doctl,containers,age,sops,rclone}/**",
    "/**/.local/share/keyrings/**",
    "/**/{.netrc,.git-credentials,.pypirc,.npmrc,.pgpass,.my.cnf,.vault-token,.boto,.s3cfg,.terraformrc}",
    "/**/.terraform.d/credentials.tfrc.json",
    "/**/.cargo/{credentials,credentials.toml}",
)

NEVER_ADDRESSES: Final = (
    "169.254.169.254/32",  # most clouds
    "169.254.170.2/32",  # container credentials
    "169.254.170.23/32",  # pod identity
    "169.254.0.23/32",
    "169.254.10.10/32",
    "168.63.129.16/32",
    "100.100.100.200/32",
    "192.0.0.192/32",
    "fd00:ec2::254/128",
    "fd00:ec2::23/128",
    "fd20:ce::254/128",
    "fd00:42::42/128",
)

NEVER_NAMES: Final = (
    "metadata.google.internal",
    "metadata.goog",
    "instance-data.ec2.internal",
    "metadata.tencentyun.com",
)


def as_pattern(path: str) -> str:
    """Spell a path as a pattern that covers it alone."""
    return "".join(f"[{character}]" if character in "*?[{}" else character for character in path)


def _networks() -> tuple[str, ...]:
    addresses = (address.partition("/")[0] for address in NEVER_ADDRESSES)
    return (
        *(f"[{address}]:*" if ":" in address else f"{address}:*" for address in addresses),
        *(f"{name}:*" for name in NEVER_NAMES),
    )


def never_list(
    state_folders: Iterable[str] = (), extra_paths: Iterable[str] = (), extra_network: Iterable[str] = ()
) -> CapabilitySet:
    """Return the never-list: the default, the host's own folders (absolute, resolved), and more of the operator's.

    ``extra_paths`` are filesystem patterns, ``extra_network`` patterns of what may not be connected to. Who may not
    connect to a name may not look it up either.
    """
    own = [f"{as_pattern(normalise(folder)).removesuffix('/')}/**" for folder in state_folders]
    paths = (*NEVER_PATHS, *own, *extra_paths)
    return CapabilitySet(
        {
            ("filesystem", "read"): paths,
            ("filesystem", "write"): paths,
            ("network", "connect"): (*_networks(), *extra_network),
        }
    )
