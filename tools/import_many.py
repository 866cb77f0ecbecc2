"""How long an import takes, then `doctor` on what it imported, and how much memory.

docs/decisions/0093-import.md has the figures.

    python -m tools.import_many [USERS]

On an embedded database of its own, in a temporary directory.
"""

import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from authservice import embedded

HASH = "$2b$10$abcdefghijklmnopqrstuuAiBB0XURbvlHRIhzvRDxeZvI4n3kRDO"


def main(users: int) -> None:
    with tempfile.TemporaryDirectory() as folder:
        export = Path(folder) / "export.ndjson"
        with export.open("w") as file:
            for number in range(users):
                record = {"id": f"{number:024x}", "email": f"user{number}@example.com", "password": HASH}
                file.write(json.dumps({**record, "createdAt": "2024-05-06T07:08:09Z", "emailVerified": True}) + "\n")
        print(f"{users:,} users, {export.stat().st_size / 1e6:.0f} MB", flush=True)
        server = embedded.start(Path(folder) / "database")
        try:
            of_export = ["users", "import", "--from", "nestjs", str(export)]
            _run("import", of_export, server.uri)
            _run("again", of_export, server.uri)
            _run("dry run", [*of_export, "--dry-run"], server.uri)
            _run("doctor", ["doctor"], server.uri)
        finally:
            server.stop()


def _run(title: str, arguments: list[str], uri: str) -> None:
    command = [sys.executable, "-m", "authservice", *arguments]
    environment = {**os.environ, "FLASK_MONGO_URI": uri, "FLASK_JWT_SECRET_KEY": "4f6a1b9c" * 8}
    started = time.monotonic()
    process = subprocess.Popen(command, env=environment)
    _, status, usage = os.wait4(process.pid, 0)
    seconds = time.monotonic() - started
    process.returncode = os.waitstatus_to_exitcode(status)
    own = usage.ru_utime + usage.ru_stime
    print(
        f"{title}: {seconds:.0f} s, of it {own:.0f} s of own CPU; {usage.ru_maxrss / 1024:.0f} MiB at most", flush=True
    )


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 1_000_000)
