"""Build the client into authservice/static/client/. Without npm it prints a hint, and fails only in CI."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

CLIENT = Path(__file__).parent.parent / "client"


def main() -> int:
    npm = shutil.which("npm")
    if npm is None:
        print(
            "npm is missing: the committed client is not changed.\n"
            "Install Node.js 20.19 or newer (https://nodejs.org), then run this again.",
            file=sys.stderr,
        )
        return 1 if os.environ.get("CI") else 0
    for arguments in (["ci"], ["run", "build"]):
        subprocess.run([npm, "--prefix", str(CLIENT), *arguments], check=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
