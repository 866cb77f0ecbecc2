"""The tree of refusals: every answer that is not a success.

Code raises a refusal where it learns the reason, and ``web/problems.py`` renders it. Nothing in between catches it.

    Refusal
    |-- BodyMalformed         400 body_malformed
    |-- RequestMalformed      400 request_malformed
    |-- Unauthenticated
    |   |-- TokenMissing      401 token_missing
    |   |-- TokenInvalid      401 token_invalid
    |   |-- TokenExpired      401 token_expired
    |   |-- TokenReused       401 token_reused
    |   |-- CredentialsInvalid 401 credentials_invalid
    |   |-- SecondFactorRequired 401 second_factor_required
    |   `-- SecondFactorWrong 401 second_factor_wrong
    |-- RoleMissing           403 role_missing
    |-- PasswordWrong         403 password_wrong
    |-- CodeInvalid           403 code_invalid
    |-- EmailUnverified       403 email_unverified
    |-- PasskeyInvalid        403 passkey_invalid
    |-- StepUpRequired        403 step_up_required
    |-- CrossSiteRefused      403 cross_site_refused
    |-- NotFound              404 not_found
    |-- UserUnknown           404 user_unknown
    |-- SessionUnknown        404 session_unknown
    |-- DeviceUnknown         404 device_unknown
    |-- PasskeyUnknown        404 passkey_unknown
    |-- MethodNotAllowed      405 method_not_allowed
    |-- RequestTimeout        408 request_timeout
    |-- EmailTaken            409 email_taken
    |-- EmailAmbiguous        409 email_ambiguous
    |-- LastAdmin             409 last_admin
    |-- RolesFull             409 roles_full
    |-- SecondFactorNeeded    409 second_factor_needed
    |-- SecondFactorsOff      409 second_factors_off
    |-- TwoStepsOff           409 two_steps_off
    |-- PasskeyKnown          409 passkey_known
    |-- PasskeysFull          409 passkeys_full
    |-- LastWayIn             409 last_way_in
    |-- BodyTooLarge          413 body_too_large
    |-- UriTooLong            414 uri_too_long
    |-- MediaTypeUnsupported  415 media_type_unsupported
    |-- RangeNotSatisfiable   416 range_not_satisfiable
    |-- ValidationFailed      422 validation_failed
    |-- TooManyAttempts       429 too_many_attempts
    |-- HeadersTooLarge       431 headers_too_large
    |-- InternalError         500 internal_error
    |-- HashingBusy           503 hashing_busy
    |-- SecondFactorUnavailable 503 second_factor_unavailable
    |-- UsersCollectionUnfit  503 users_collection_unfit
    `-- DatabaseUnavailable   503 database_unavailable
"""

from authservice.errors.of_accounts import (
    CodeInvalid,
    CredentialsInvalid,
    CrossSiteRefused,
    DeviceUnknown,
    EmailAmbiguous,
    EmailTaken,
    EmailUnverified,
    LastAdmin,
    LastWayIn,
    PasskeyInvalid,
    PasskeyKnown,
    PasskeysFull,
    PasskeyUnknown,
    PasswordWrong,
    RoleMissing,
    RolesFull,
    SecondFactorNeeded,
    SecondFactorRequired,
    SecondFactorsOff,
    SecondFactorWrong,
    SessionUnknown,
    StepUpRequired,
    TokenExpired,
    TokenInvalid,
    TokenMissing,
    TokenReused,
    TooManyAttempts,
    TwoStepsOff,
    Unauthenticated,
    UserUnknown,
)
from authservice.errors.of_requests import (
    BodyMalformed,
    BodyTooLarge,
    DatabaseUnavailable,
    HashingBusy,
    HeadersTooLarge,
    InternalError,
    MediaTypeUnsupported,
    MethodNotAllowed,
    NotFound,
    RangeNotSatisfiable,
    RequestMalformed,
    RequestTimeout,
    SecondFactorUnavailable,
    UriTooLong,
    UsersCollectionUnfit,
    ValidationFailed,
)
from authservice.errors.refusal import (
    Fault,
    Refusal,
)

__all__ = [
    "BodyMalformed",
    "BodyTooLarge",
    "CodeInvalid",
    "CredentialsInvalid",
    "CrossSiteRefused",
    "DatabaseUnavailable",
    "DeviceUnknown",
    "EmailAmbiguous",
    "EmailTaken",
    "EmailUnverified",
    "Fault",
    "HashingBusy",
    "HeadersTooLarge",
    "InternalError",
    "LastAdmin",
    "LastWayIn",
    "MediaTypeUnsupported",
    "MethodNotAllowed",
    "NotFound",
    "PasskeyInvalid",
    "PasskeyKnown",
    "PasskeyUnknown",
    "PasskeysFull",
    "PasswordWrong",
    "RangeNotSatisfiable",
    "Refusal",
    "RequestMalformed",
    "RequestTimeout",
    "RoleMissing",
    "RolesFull",
    "SecondFactorNeeded",
    "SecondFactorRequired",
    "SecondFactorUnavailable",
    "SecondFactorWrong",
    "SecondFactorsOff",
    "SessionUnknown",
    "StepUpRequired",
    "TokenExpired",
    "TokenInvalid",
    "TokenMissing",
    "TokenReused",
    "TooManyAttempts",
    "TwoStepsOff",
    "Unauthenticated",
    "UriTooLong",
    "UserUnknown",
    "UsersCollectionUnfit",
    "ValidationFailed",
]
