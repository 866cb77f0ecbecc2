"""What builds the Dockerfile and runs the image: Docker, or as root buildah, on a base that debootstrap makes."""

import json
import os
import re
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.service import ROOT

TAG = "localhost/authservice-test"
BASE = "localhost/authservice-test-base"
SUITE = "bookworm"
# Does what `docker run --read-only --tmpfs /tmp --user` does. $1 is the image's root, $2 the user; the command follows.
READ_ONLY = """
set -e
root=$1 user=$2; shift 2
mount --bind "$root" "$root"
mount -o remount,bind,ro "$root"
mount -t tmpfs -o mode=1777 tmpfs "$root/tmp"
mount --rbind /dev "$root/dev"
mount -t proc proc "$root/proc"
exec chroot --userspec="$user" "$root" "$@"
"""


def output_of(*command: str | Path) -> str:
    ended = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stdout + ended.stderr
    return ended.stdout


@dataclass(frozen=True)
class Docker:
    """Docker, with a daemon that runs on this machine."""

    def build(self) -> dict[str, Any]:
        output_of("docker", "build", "--tag", TAG, ROOT)
        found: dict[str, Any] = json.loads(output_of("docker", "image", "inspect", TAG))[0]["Config"]
        return found

    def command(self, config: dict[str, Any], program: list[str], environment: dict[str, str]) -> list[str]:
        """The command that runs ``program`` in the image, on this machine's network and with a read-only root."""
        variables = [part for name, value in environment.items() for part in ("--env", f"{name}={value}")]
        shut_in = ["--read-only", "--tmpfs=/tmp", "--cap-drop=ALL", "--security-opt=no-new-privileges"]
        entrypoint = [f"--entrypoint={program[0]}", TAG, *program[1:]]
        return ["docker", "run", "--rm", "--interactive", "--network=host", *shut_in, *variables, *entrypoint]


@dataclass(frozen=True)
class Buildah:
    """buildah, with its images in ``storage``. It uses the base of an earlier run again."""

    storage: Path

    def build(self) -> dict[str, Any]:
        if BASE not in self._buildah("images", "--format", "{{.Name}}").splitlines():
            self._make_base()
        volumes = [part for path in pips_own() for part in ("--volume", f"{path}:{path}:ro")]
        built = ("build", "--isolation=chroot", "--format=docker", f"--build-arg=BASE={BASE}", *volumes)
        self._buildah(*built, f"--tag={TAG}", str(ROOT))
        found: dict[str, Any] = json.loads(self._buildah("inspect", "--type=image", TAG))["Docker"]["config"]
        self._buildah("from", "--name=authservice-test", TAG)
        return found

    def remove(self) -> None:
        """Remove everything but the base."""
        self._buildah("rm", "--all")
        self._buildah("rmi", TAG)
        self._buildah("rmi", "--prune", "--force")

    def command(self, config: dict[str, Any], program: list[str], environment: dict[str, str]) -> list[str]:
        """The command that runs ``program`` in the image, on this machine's network and with a read-only root."""
        root = self._buildah("mount", "authservice-test").strip()
        variables = [*config["Env"], *(f"{name}={value}" for name, value in environment.items())]
        program = ["/usr/bin/env", "-i", "-C", config["WorkingDir"], *variables, *program]
        return ["unshare", "--mount", "sh", "-c", READ_ONLY, "sh", root, config["User"], *program]

    def _make_base(self) -> None:
        root = self.storage / "debian"
        shutil.rmtree(root, ignore_errors=True)
        packages = "--include=python3,python3-venv,ca-certificates"
        output_of("debootstrap", "--variant=minbase", packages, SUITE, root)
        (self.storage / "Dockerfile").write_text("FROM scratch\nCOPY . /\n")
        self._buildah("build", "--isolation=chroot", f"--tag={BASE}", f"--file={self.storage}/Dockerfile", str(root))
        shutil.rmtree(root)

    def _buildah(self, *arguments: str) -> str:
        where = ("--root", self.storage / "root", "--runroot", self.storage / "run", "--storage-driver", "vfs")
        return output_of("buildah", *where, *arguments)


def find(storage: Path) -> Docker | Buildah | None:
    if shutil.which("docker") and not subprocess.run(["docker", "info"], capture_output=True, check=False).returncode:
        return Docker()
    if shutil.which("buildah") and shutil.which("debootstrap") and os.geteuid() == 0:
        storage.mkdir(parents=True, exist_ok=True)
        return Buildah(storage)
    return None


def pips_own() -> list[str]:
    """What pip reads on this machine: certificates, configuration, folders of wheels. A mirror may be in them."""
    folders = {"/etc/ssl/certs", "/etc/xdg/pip"}
    for path in re.findall(r"[ '](?:file://)?(/[^\s']+)", output_of(sys.executable, "-m", "pip", "config", "list")):
        folders.add(str(Path(*Path(path).parts[:3])))
    return sorted(folder for folder in folders if Path(folder).is_dir() and folder != "/etc/ssl")
