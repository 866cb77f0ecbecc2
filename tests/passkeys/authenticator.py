"""An authenticator in software, with a browser in front: it answers options as navigator.credentials does."""

import hashlib
import json
import os
from base64 import urlsafe_b64decode, urlsafe_b64encode

import cbor2
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec

RP_ID = "example.com"
ORIGIN = "https://app.example.com"
PRESENT, VERIFIED, ELIGIBLE, BACKED_UP, ATTESTED, EXTENDED = 0x01, 0x04, 0x08, 0x10, 0x40, 0x80


def encoded(binary):
    return urlsafe_b64encode(binary).decode().rstrip("=")


def decoded(text):
    return urlsafe_b64decode(text + "=" * (-len(text) % 4))


class Passkey:
    """A discoverable ES256 credential of one user. Tests change its attributes before it answers."""

    def __init__(self, counts=False):
        self.id, self.key = os.urandom(32), ec.generate_private_key(ec.SECP256R1())
        self.user_handle = b""
        self.count, self.counts = 0, counts
        self.flags = PRESENT | VERIFIED | ELIGIBLE | BACKED_UP
        self.rp_id, self.origin = RP_ID, ORIGIN
        self.said = {}  # more members of the client data, or others
        self.attestation = {"fmt": "none", "attStmt": {}}

    def create(self, options):
        """The answer to registration options, as PublicKeyCredential.toJSON() gives it."""
        self.user_handle = decoded(options["user"]["id"])
        client_data = self._client_data("webauthn.create", options["challenge"])
        attested = b"\0" * 16 + len(self.id).to_bytes(2, "big") + self.id + cbor2.dumps(self.public_key())
        data = self._data(self.flags | ATTESTED) + attested
        attestation = cbor2.dumps({**self.attestation, "authData": data})
        return self._credential(
            clientDataJSON=client_data, attestationObject=attestation, transports=["internal", "hybrid"]
        )

    def get(self, options):
        """The answer to authentication options."""
        self.count += self.counts
        client_data, data = self._client_data("webauthn.get", options["challenge"]), self._data(self.flags)
        signature = self.key.sign(data + hashlib.sha256(client_data).digest(), ec.ECDSA(hashes.SHA256()))
        return self._credential(
            clientDataJSON=client_data, authenticatorData=data, signature=signature, userHandle=self.user_handle
        )

    def public_key(self):
        """COSE (RFC 9053 section 7.1.1)."""
        numbers = self.key.public_key().public_numbers()
        return {1: 2, 3: -7, -1: 1, -2: numbers.x.to_bytes(32, "big"), -3: numbers.y.to_bytes(32, "big")}

    def _client_data(self, ceremony, challenge):
        said = {"type": ceremony, "challenge": challenge, "origin": self.origin, "crossOrigin": False, **self.said}
        return json.dumps({name: value for name, value in said.items() if value is not None}).encode()

    def _data(self, flags):
        return hashlib.sha256(self.rp_id.encode()).digest() + bytes([flags]) + self.count.to_bytes(4, "big")

    def _credential(self, **response):
        binary = {name: encoded(one) if isinstance(one, bytes) else one for name, one in response.items()}
        return {
            "id": encoded(self.id),
            "rawId": encoded(self.id),
            "type": "public-key",
            "authenticatorAttachment": "platform",
            "clientExtensionResults": {},
            "response": binary,
        }
