"""Refusals that are about accounts: tokens, passwords, roles, e-mails, budgets."""

from collections.abc import Sequence

from authservice.errors.refusal import Refusal


class Unauthenticated(Refusal):
    """A 401. Its answer always has a ``WWW-Authenticate`` challenge (RFC 9110 section 11.6.1)."""

    status = 401


class TokenMissing(Unauthenticated):
    code, title = "token_missing", "A token is required"
    explanation = "Send the access token from POST /auth as 'Authorization: Bearer <token>'."


class TokenInvalid(Unauthenticated):
    code, title = "token_invalid", "The token is not valid"
    explanation = "The token is malformed, forged, of the wrong type, or no longer valid. Sign in again."
    challenge_error = "invalid_token"


class TokenExpired(Unauthenticated):
    code, title = "token_expired", "The token has expired"
    explanation = "The token has expired. Sign in again."
    challenge_error = "invalid_token"


class TokenReused(Unauthenticated):
    """A refresh token was used again after its successor: one of its two holders is a thief."""

    code, title = "token_reused", "The refresh token was already used"
    explanation = "This refresh token was already used, so its session has ended. Sign in again."
    challenge_error = "invalid_token"


class CredentialsInvalid(Unauthenticated):
    code, title = "credentials_invalid", "Wrong e-mail or password"
    explanation = "No enabled account has this e-mail and password."


class SecondFactorRequired(Unauthenticated):
    """Only after the right password."""

    code, title = "second_factor_required", "A second factor is required"
    explanation = "The password is right. Send the continuation and one of the methods to POST /auth/second."

    def __init__(self, continuation: str, expires_in_seconds: int, methods: Sequence[str]) -> None:
        super().__init__()
        self.members = {"continuation": continuation, "expiresIn": expires_in_seconds, "methods": [*methods]}


class SecondFactorWrong(Unauthenticated):
    """The same whatever is wrong with code, passkey or continuation."""

    code, title = "second_factor_wrong", "The second factor is wrong"
    explanation = "It is wrong, expired or used, or the sign-in began too long ago. Try the next code, or begin again."


class RoleMissing(Refusal):
    status, code, title = 403, "role_missing", "A required role is missing"
    explanation = "Your account does not have the role that this request requires."
    challenge_error = "insufficient_scope"


class PasswordWrong(Refusal):
    """Not a 401: the token is valid, and a front-end must not sign the user out."""

    status, code, title = 403, "password_wrong", "The current password is wrong"
    explanation = "Nothing was changed. Send your current password as currentPassword."


class CodeInvalid(Refusal):
    """The same whatever is wrong: it must not tell which accounts and requests there are."""

    status, code, title = 403, "code_invalid", "The link or code is not valid"
    explanation = "It is wrong, expired or used, or was tried too often. Ask for a new mail."


class CrossSiteRefused(Refusal):
    status, code, title = 403, "cross_site_refused", "The cookie is not accepted here"
    explanation = "Send the header X-Requested-With with the cookie, from an origin in FLASK_CORS_ORIGINS."


class EmailUnverified(Refusal):
    """At a sign-in only after the right password."""

    status, code, title = 403, "email_unverified", "The e-mail is not verified"
    explanation = "Open the link in the mail that was sent to your address, then try again."


class PasskeyInvalid(Refusal):
    """Of a registration. A sign-in by a passkey is CredentialsInvalid."""

    status, code, title = 403, "passkey_invalid", "The passkey is not accepted"
    explanation = "It does not answer fresh options of this service from one of its origins. Ask for new ones."


class StepUpRequired(Refusal):
    """The token is good, but the sign-in behind it is too old, or had too few factors. Source: RFC 9470."""

    status, code, title = 403, "step_up_required", "A recent or stronger sign-in is required"
    explanation = "Prove again who you are with POST /auth/step-up, then repeat this request with the token it answers."
    challenge_error = "insufficient_user_authentication"

    def __init__(self, max_age_seconds: int | None, acr: str | None) -> None:
        super().__init__()
        required = (("max_age", "maxAge", max_age_seconds), ("acr_values", "acrValues", acr))
        self.challenge_parameters = {name: value for name, _, value in required if value is not None}
        self.members = {name: value for _, name, value in required if value is not None}


class UserUnknown(Refusal):
    status, code, title = 404, "user_unknown", "No such user"
    explanation = "No user has this e-mail or id."


class SessionUnknown(Refusal):
    status, code, title = 404, "session_unknown", "No such session"
    explanation = "You have no session with this id. GET /auth/sessions lists them."


class DeviceUnknown(Refusal):
    status, code, title = 404, "device_unknown", "No such device"
    explanation = "You have no device with this id. GET /users/me/devices lists them."


class PasskeyUnknown(Refusal):
    status, code, title = 404, "passkey_unknown", "No such passkey"
    explanation = "You have no passkey with this id. GET /users/me/passkeys lists them."


class EmailTaken(Refusal):
    status, code, title = 409, "email_taken", "The e-mail is taken"
    explanation = "An account with this e-mail already exists. Sign in instead."


class EmailAmbiguous(Refusal):
    """Another stack stored several spellings of one address, and the given one matches none of them exactly."""

    status, code, title = 409, "email_ambiguous", "Several accounts have this e-mail"
    explanation = "Type it exactly as one of them is stored."

    def __init__(self, user_ids: Sequence[str]) -> None:
        super().__init__(f"{self.explanation} Their ids: {', '.join(user_ids)}.")


class LastAdmin(Refusal):
    status, code, title = 409, "last_admin", "This is the last admin"
    explanation = "Nobody could manage the users any more. Give another user the role admin first."


class RolesFull(Refusal):
    status, code, title = 409, "roles_full", "The user has too many roles"
    explanation = "A user can have at most 32 roles. Revoke one first."


class SecondFactorNeeded(Refusal):
    status, code, title = 409, "second_factor_needed", "Your role needs a second factor"
    explanation = "Nothing was removed. Add a passkey first."


class SecondFactorsOff(Refusal):
    status, code, title = 409, "second_factors_off", "Authenticator apps are not set up here"
    explanation = "The service has no key to encrypt their secrets with: FLASK_ENCRYPTION_KEYS is not set."


class TwoStepsOff(Refusal):
    status, code, title = 409, "two_steps_off", "Two steps are off"
    explanation = "There are no recovery codes without an authenticator app. POST /users/me/totp sets one up."


class PasskeyKnown(Refusal):
    status, code, title = 409, "passkey_known", "You have this passkey already"
    explanation = "It signs in already. GET /users/me/passkeys lists it."


class PasskeysFull(Refusal):
    status, code, title = 409, "passkeys_full", "You have too many passkeys"
    explanation = "An account can have at most 10 passkeys. Delete one first."


class LastWayIn(Refusal):
    status, code, title = 409, "last_way_in", "This is the last way to sign in"
    explanation = "You have no password. Set one, or add another passkey first."


class TooManyAttempts(Refusal):
    status, code, title = 429, "too_many_attempts", "Too many attempts"
    explanation = "Nothing was checked. Try again after the number of seconds in Retry-After."

    def __init__(self, retry_after_seconds: int, detail: str | None = None) -> None:
        super().__init__(detail)
        self.retry_after_seconds = retry_after_seconds
