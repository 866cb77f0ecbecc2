"""The table of settings: each FLASK_* variable with its check, its default and its meaning."""

import importlib.util
import re
from typing import Any

from authservice.config import mongo_uri, users_fields
from authservice.config.keys import KEY_SETTINGS
from authservice.config.legacy import LEGACY_SETTINGS
from authservice.config.mail import MAIL_SETTINGS
from authservice.config.passkeys import PASSKEY_SETTINGS
from authservice.config.rates import parse_networks, parse_rate
from authservice.config.setting import Setting, absolute_path, integer, one_of

# The development servers of Ionic, Angular and Vite, and the web views of Capacitor 3 to 7 and older Ionic versions.
DEVELOPMENT_ORIGINS = (
    "http://localhost:8100,http://localhost:4200,http://localhost:5173,http://localhost,https://localhost,"
    "capacitor://localhost,ionic://localhost"
)
BODY_MAX_BYTES = 16_384
ROLE = "[a-z][a-z0-9_-]{0,31}"  # the pattern of its name
ROLES_MAX = 32  # every access token carries them, and so does a header to the services behind the guard


_switch = one_of("on", "off")


def _text(text: str) -> str:
    if not text:
        raise ValueError("must not be empty")
    return text


def _origins(text: str) -> tuple[str, ...]:
    """An exact list. Patterns are refused: flask-cors would match them unanchored, with credentials."""
    origins = tuple(origin.strip() for origin in text.split(",") if origin.strip())
    for origin in origins:
        if not re.fullmatch(r"[a-z][a-z0-9+.-]*://[A-Za-z0-9.-]+(:[0-9]+)?", origin) and not re.fullmatch(
            r"[a-z][a-z0-9+.-]*://\[[0-9a-fA-F:]+\](:[0-9]+)?", origin
        ):
            raise ValueError(
                f"must be origins separated by commas, such as https://app.example.com, not {origin[:60]!r}"
            )
    return origins


def _words(text: str) -> tuple[str, ...]:
    words = tuple(word.strip() for word in text.split(","))
    if any(len(word) < 3 for word in words):
        raise ValueError(f"must be words of 3 characters or more, separated by commas, not {text[:60]!r}")
    return words


def _roles(text: str) -> frozenset[str]:
    roles = frozenset(role.strip() for role in text.split(","))
    if "" in roles:
        raise ValueError(f"must be roles separated by commas, such as admin,editor, not {text[:60]!r}")
    return roles


def _breach_check(text: str) -> str:
    is_url = re.fullmatch(r"https?://([A-Za-z0-9.-]+|\[[0-9a-fA-F:.]+\])(:([0-9]{1,5}))?(/[\w./~-]*)?", text, re.ASCII)
    if text != "off" and (is_url is None or not 1 <= int(is_url[3] or 443) <= 65_535):
        raise ValueError(f"must be off or a URL such as https://api.pwnedpasswords.com/range, not {text[:60]!r}")
    return text


def _collection(text: str) -> str:
    """Source: MongoDB's manual, "Naming Restrictions"."""
    if not re.fullmatch(r"[\w-]+(\.[\w-]+)*", text) or len(text.encode()) > 120 or text.startswith("system."):
        raise ValueError(f"must be the name of a collection, such as users, not {text[:40]!r}")
    return text


def _proof_of_work(text: str) -> str:
    if _switch(text) == "on" and importlib.util.find_spec("altcha") is None:
        raise ValueError("needs a package that is not installed: pip install 'authservice[proof-of-work]'")
    return text


def _metrics(text: str) -> str:
    if text in ("on", "off"):
        return text
    address = re.fullmatch(r"[A-Za-z0-9.-]+:([0-9]{1,5})", text)
    if address is None or not 1 <= int(address[1]) <= 65_535:
        raise ValueError(f"must be on, off or an address such as 127.0.0.1:9100, not {text[:40]!r}")
    return text


def _name_of_object(value: Any) -> Any:
    """The name, or the object itself. Only the application imports it, no earlier check."""
    if isinstance(value, str) and not re.fullmatch(r"[^\W\d][\w.]*:[^\W\d][\w.]*", value):
        raise ValueError(f"must be package.module:name, such as myapp.auth:claims, not {value[:40]!r}")
    return value


SETTINGS = (
    Setting("MONGO_URI", mongo_uri.parse, None, "MongoDB with the database's name; unset: the embedded database"),
    *KEY_SETTINGS,
    Setting("SECRET_KEY", _text, None, "signs Flask's own sessions, where an app adds them; not used by the service"),
    Setting(
        "ENV",
        one_of("development", "production"),
        None,
        "`production` refuses what is for development, as listed under In production",
    ),
    Setting(
        "INSTANCE_PATH",
        absolute_path,
        None,
        "where the embedded database and its secret are kept; unset: see With your MongoDB",
    ),
    Setting("MONGO_TIMEOUT_MS", integer(50, 60_000), "1500", "milliseconds that the database may take to answer"),
    Setting("USERS_COLLECTION", _collection, "users", "the collection of the users"),
    Setting(
        "USERS_FIELDS",
        users_fields.parse,
        None,
        "`password=NAME,disabledAt=NAME,emailVerifiedAt=NAME`, or some of the three: fields of another app in its "
        "documents that are read, and never written",
    ),
    Setting("JWT_ACCESS_TOKEN_EXPIRES", integer(60, 86_400), "3600", "seconds that an access token lives"),
    Setting(
        "JWT_ISSUER", _text, None, "`iss` of our tokens, and then required in them; unset: none, as in the tutorial"
    ),
    Setting(
        "JWT_AUDIENCE", _text, None, "`aud` of our tokens, and then required in them; unset: none, as in the tutorial"
    ),
    Setting(
        "CLAIMS",
        _name_of_object,
        None,
        "`package.module:function`; what it returns for a user, a dict, is added to access tokens",
        takes_object=True,
    ),
    Setting(
        "PROFILE",
        _name_of_object,
        None,
        "`package.module:Schema`, a marshmallow schema of fields that your users have besides",
        takes_object=True,
    ),
    Setting(
        "SIGN_UP",
        one_of("open", "private"),
        "open",
        "`open`: an account at once, 409 for a taken address; `private`: 202 for every address, and an account by the "
        "link or code of a mail",
    ),
    Setting("REQUIRE_VERIFIED_EMAIL", _switch, "off", "`on`: nobody signs in before the address is proven by a mail"),
    Setting(
        "SECOND_FACTOR_ROLES",
        _roles,
        None,
        "roles whose users can only set up a second factor and sign out until they have signed in with two factors, "
        "separated by commas",
    ),
    Setting("MAX_SESSIONS", integer(1, 100), "20", "sessions a user may have; the least recently used one is dropped"),
    Setting("REFRESH_IDLE_DAYS", integer(1, 365), "30", "days after which an unused session ends"),
    Setting("SESSION_MAX_DAYS", integer(1, 3_650), "180", "days after which every session ends"),
    Setting("REFRESH_GRACE_SECONDS", integer(0, 300), "10", "seconds that the last refresh token still gets the pair"),
    Setting("PASSWORD_MIN_LENGTH", integer(1, 1_024), "8", "code points that a new password must have"),
    Setting(
        "PASSWORD_WORDS",
        _words,
        None,
        "words that are no password, separated by commas, such as the name of your shop",
    ),
    Setting(
        "BREACH_CHECK",
        _breach_check,
        "off",
        "`off`, or the URL of a range API, such as `https://api.pwnedpasswords.com/range`: refuses breached passwords",
    ),
    Setting("BCRYPT_LOG_ROUNDS", integer(4, 14), "12", "bcrypt's cost, a power of two; below 10 only for tests"),
    Setting("BCRYPT_CONCURRENCY", integer(1, 64), "1", "passwords that one worker hashes at a time"),
    Setting("BCRYPT_QUEUE", integer(0, 1_000), "2", "passwords that may wait for that; more are answered 503"),
    Setting("CORS_ORIGINS", _origins, DEVELOPMENT_ORIGINS, "origins that browsers may call from, separated by commas"),
    Setting(
        "METRICS", _metrics, "on", "`on`: at `/metrics`; `off`; or `HOST:PORT`, which serves it and `/healthz` alone"
    ),
    Setting("TRUSTED_PROXIES", integer(0, 10), "0", "proxies in front whose X-Forwarded-For and -Proto are believed"),
    Setting(
        "CONNECTIONS_PER_CLIENT",
        integer(0, 100_000),
        None,
        "connections that one address may have of a worker's; unset: a tenth; 0, and behind trusted proxies: no limit",
    ),
    Setting("LIMITS", _switch, "on", "`off` switches off all limits of attempts"),
    Setting(
        "LIMIT_SIGN_IN_CLIENT", parse_rate, "20/10m", "failed sign-ins of a client: 20 at once, all back in 10 minutes"
    ),
    Setting("LIMIT_SIGN_IN_ACCOUNT_CLIENT", parse_rate, "5/25m", "failed sign-ins of a client at one account"),
    Setting("LIMIT_SIGN_IN_ACCOUNT", parse_rate, "50/1h", "failed sign-ins of all clients at one account"),
    Setting(
        "LIMIT_SIGN_IN_DEVICE",
        parse_rate,
        "10/10m",
        "failed sign-ins of a known device at one account, in place of the three above",
    ),
    Setting("LIMIT_PASSWORD_CHECK", parse_rate, "5/5m", "wrong current passwords of a user, at a change or deletion"),
    Setting("LIMIT_SIGN_UP", parse_rate, "5/30m", "sign-ups of a client, also refused ones"),
    Setting("LIMIT_RESET", parse_rate, "10/1h", "mails that a client asks for: resets, and changes of an e-mail"),
    Setting("LIMIT_REFRESH", parse_rate, "10/100s", "refreshes of a session"),
    Setting(
        "LIMIT_EXEMPT",
        parse_networks,
        None,
        "networks whose clients have no limit of their own, separated by commas; those of accounts stay",
    ),
    Setting("PROOF_OF_WORK", _proof_of_work, "off", "`on`: a sign-up over HTTP needs a solved ALTCHA challenge"),
    *MAIL_SETTINGS,
    *PASSKEY_SETTINGS,
    *LEGACY_SETTINGS,
)
