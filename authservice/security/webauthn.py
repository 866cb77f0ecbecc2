"""Passkeys: the options of a ceremony, and what an authenticator's answer proves.

py_webauthn costs a worker some 9 MiB, so it is imported when the first answer is verified.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from authservice.security import cbor, strict_json
from authservice.security.passkey_challenges import (
    AUTHENTICATION,
    LIFETIME_SECONDS,
    REGISTRATION,
    InvalidCredential,
    decoded,
    encoded,
    issued_at,
    new_challenge,
)
from authservice.state import current_state

_CREDENTIAL_ID_MAX_BYTES = 1_023  # WebAuthn Level 3 section 4
_TRANSPORTS_MAX = 8
_TRANSPORT = re.compile(r"[a-z-]{1,20}")
_ALGORITHMS = (-8, -7, -257)  # EdDSA, ES256, RS256: what py_webauthn takes by default


@dataclass(frozen=True)
class NewPasskey:
    """What a registration has proven. ``challenge_at``: when its challenge was issued, in µs since the epoch."""

    id: bytes
    public_key: bytes  # COSE (RFC 9053)
    sign_count: int
    is_synced: bool
    transports: tuple[str, ...]
    challenge_at: int


@dataclass(frozen=True)
class Assertion:
    """An answer to our challenge, whose signature is not verified yet."""

    user_id: str
    credential_id: bytes
    challenge: bytes
    challenge_at: int
    client_data: bytes
    authenticator_data: bytes
    signature: bytes


@dataclass(frozen=True)
class Proof:
    """What a verified signature says about its passkey as of now."""

    sign_count: int
    is_synced: bool


def registration_options(
    user_id: str, email: str, app_name: str, existing: Iterable[tuple[bytes, Sequence[str]]]
) -> dict[str, Any]:
    """For ``navigator.credentials.create``. ``existing``: ids and transports of the user's passkeys.

    Source: WebAuthn Level 3 section 5.4.
    """
    return {
        "rp": {"id": _setting("RP_ID"), "name": app_name},
        "user": {"id": encoded(bytes.fromhex(user_id)), "name": email, "displayName": email},
        "challenge": new_challenge(REGISTRATION, user_id),
        "pubKeyCredParams": [{"type": "public-key", "alg": algorithm} for algorithm in _ALGORITHMS],
        "timeout": LIFETIME_SECONDS * 1_000,
        "excludeCredentials": [
            {"type": "public-key", "id": encoded(id), "transports": [*transports]} for id, transports in existing
        ],
        "authenticatorSelection": {
            "residentKey": "required",
            "requireResidentKey": True,
            "userVerification": "required",
        },
        "attestation": "none",
    }


def authentication_options() -> dict[str, Any]:
    """For ``navigator.credentials.get``, the same for all: they name no credential.

    Source: WebAuthn Level 3 section 5.5.
    """
    return {
        "challenge": new_challenge(AUTHENTICATION),
        "rpId": _setting("RP_ID"),
        "timeout": LIFETIME_SECONDS * 1_000,
        "allowCredentials": [],
        "userVerification": "required",
    }


def verify_registration(credential: Mapping[str, Any], user_id: str) -> NewPasskey:
    """Raises InvalidCredential, whatever is wrong. Source: WebAuthn Level 3 section 7.1."""
    id, response = _parts(credential)
    client_data = decoded(response.get("clientDataJSON"))
    challenge, challenge_at = _check_client_data(client_data, "webauthn.create", REGISTRATION, user_id)
    attestation = decoded(response.get("attestationObject"))

    from webauthn.helpers import parse_cbor, structs
    from webauthn.registration.verify_registration_response import verify_registration_response

    answer = structs.AuthenticatorAttestationResponse(client_data_json=client_data, attestation_object=attestation)
    try:
        cbor.refuse_tags(attestation)
        _refuse_tags_in(parse_cbor(attestation)["authData"])
        verified = verify_registration_response(
            credential=structs.RegistrationCredential(id=encoded(id), raw_id=id, response=answer),
            expected_challenge=challenge,
            expected_rp_id=_setting("RP_ID"),
            expected_origin=[*_setting("ORIGINS")],
            require_user_verification=True,
        )
    except Exception as error:  # it raises much besides its own, of CBOR, keys and certificates
        raise InvalidCredential(type(error).__name__) from None
    if verified.credential_id != id:
        raise InvalidCredential("of another credential")
    return NewPasskey(
        id=id,
        public_key=verified.credential_public_key,
        sign_count=verified.sign_count,
        is_synced=verified.credential_backed_up,
        transports=_transports(response.get("transports")),
        challenge_at=challenge_at,
    )


def read_assertion(credential: Mapping[str, Any]) -> Assertion:
    """Everything but the signature, which needs the user's key.

    The user handle is required: it says whose passkey it is, and nobody else's document is looked at.
    Raises InvalidCredential.
    """
    id, response = _parts(credential)
    client_data = decoded(response.get("clientDataJSON"))
    challenge, challenge_at = _check_client_data(client_data, "webauthn.get", AUTHENTICATION)
    user_handle = decoded(response.get("userHandle"))
    if len(user_handle) != 12:  # the bytes of an ObjectId
        raise InvalidCredential("no user of ours")
    return Assertion(
        user_id=user_handle.hex(),
        credential_id=id,
        challenge=challenge,
        challenge_at=challenge_at,
        client_data=client_data,
        authenticator_data=decoded(response.get("authenticatorData")),
        signature=decoded(response.get("signature")),
    )


def verify_assertion(assertion: Assertion, public_key: bytes) -> Proof:
    """Raises InvalidCredential, whatever is wrong. Source: WebAuthn Level 3 section 7.2.

    The caller compares the sign counter: py_webauthn would do it before it verifies the signature.
    """
    from webauthn.authentication.verify_authentication_response import verify_authentication_response
    from webauthn.helpers import structs

    answer = structs.AuthenticatorAssertionResponse(
        client_data_json=assertion.client_data,
        authenticator_data=assertion.authenticator_data,
        signature=assertion.signature,
    )
    id = assertion.credential_id
    try:
        _refuse_tags_in(assertion.authenticator_data)
        verified = verify_authentication_response(
            credential=structs.AuthenticationCredential(id=encoded(id), raw_id=id, response=answer),
            expected_challenge=assertion.challenge,
            expected_rp_id=_setting("RP_ID"),
            expected_origin=[*_setting("ORIGINS")],
            credential_public_key=public_key,
            credential_current_sign_count=0,
            require_user_verification=True,
        )
    except Exception as error:  # as at a registration
        raise InvalidCredential(type(error).__name__) from None
    return Proof(sign_count=verified.new_sign_count, is_synced=verified.credential_backed_up)


def _parts(credential: Mapping[str, Any]) -> tuple[bytes, Mapping[str, Any]]:
    """The id of a credential and its response. Browsers send more members, which nobody needs."""
    id, response = decoded(credential.get("id")), credential.get("response")
    if not 1 <= len(id) <= _CREDENTIAL_ID_MAX_BYTES or credential.get("rawId") != credential.get("id"):
        raise InvalidCredential("no id of a credential")
    if credential.get("type") != "public-key" or not isinstance(response, dict):
        raise InvalidCredential("no public-key credential")
    return id, response


def _check_client_data(client_data: bytes, ceremony: str, purpose: str, user_id: str = "") -> tuple[bytes, int]:
    """The challenge, and when it was issued in µs. The library checks type and origin too, but no frames.

    In a frame of another site, somebody may be made to sign without knowing what for.
    Source: WebAuthn Level 3 section 5.8.1.
    """
    try:
        said = strict_json.loads(client_data)
    except ValueError:
        raise InvalidCredential("client data is no JSON") from None
    origins = _setting("ORIGINS") or ()  # none where passkeys are off
    if not isinstance(said, dict) or said.get("type") != ceremony or said.get("origin") not in origins:
        raise InvalidCredential("of another ceremony or origin")
    if said.get("crossOrigin", False) is not False or "topOrigin" in said:
        raise InvalidCredential("made in a frame of another origin")
    challenge = decoded(said.get("challenge"))
    return challenge, issued_at(challenge, purpose, user_id)


def _refuse_tags_in(authenticator_data: bytes) -> None:
    """In its CBOR: the key, if there is one, and extensions. Source: WebAuthn Level 3 section 6.1."""
    has_key = authenticator_data[32] & 0x40
    start = 55 + int.from_bytes(authenticator_data[53:55]) if has_key else 37
    cbor.refuse_tags(authenticator_data[start:])


def _transports(given: object) -> tuple[str, ...]:
    """Only hints for the browser, and kept as they are if they may be ones: new ones come up."""
    listed = given if isinstance(given, list) else []
    return tuple(one for one in listed if isinstance(one, str) and _TRANSPORT.fullmatch(one))[:_TRANSPORTS_MAX]


def _setting(name: str) -> Any:
    return current_state().settings[f"PASSKEY_{name}"]
