"""jose, the library of most JavaScript services, verifies tokens offline while their keys change."""

import shutil
import subprocess
import threading
import time

import jwt
from cryptography.hazmat.primitives.asymmetric import ec

from tests.clients import needs
from tests.server.key_rotation import FOLLOWERS_KEEP_SECONDS, ISSUER, keys, live_through
from tests.server.test_refused_reload import reload


def test_jose_follows(serve, tmp_path):
    (tmp_path / "node_modules").symlink_to(needs.npm_packages())
    for name in ("jose.js", "package.json"):
        shutil.copy(needs.HERE / name, tmp_path)
    file = tmp_path / "keys.json"
    keys(file, "generate")
    service = serve(FLASK_JWT_KEYS_FILE=str(file), FLASK_JWT_ISSUER=ISSUER)
    url = f"{service.url}/.well-known/jwks.json"
    command = ["node", "jose.js", url, ISSUER, f"{FOLLOWERS_KEEP_SECONDS * 1_000:.0f}"]
    one_at_a_time = threading.Lock()
    with subprocess.Popen(
        command, cwd=tmp_path, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=1
    ) as jose:

        def verify(token: str) -> str:
            with one_at_a_time:
                jose.stdin.write(f"{token}\n")
                return jose.stdout.readline().strip()

        live_through(service, file, reload, verify, lambda: time.sleep(2 * FOLLOWERS_KEEP_SECONDS))
        stranger = jwt.encode({"iss": ISSUER}, ec.generate_private_key(ec.SECP256R1()), "ES256", {"kid": "x"})
        assert verify(stranger) == "refused: ERR_JWKS_NO_MATCHING_KEY"
        jose.stdin.close()
