"""Settings: read from FLASK_* variables, checked at start-up, all faults named at once."""

from authservice.config.importing import import_named
from authservice.config.instance import (
    checkout,
    development_encryption_keys,
    development_secret,
    instance_path,
    require_usable,
)
from authservice.config.keys import PUBLISHED_SECRETS, SECRET_MIN_BYTES
from authservice.config.loading import ConfigurationError, load, read_files, value_of
from authservice.config.mail import Relay
from authservice.config.mongo_uri import is_readable_on_the_network
from authservice.config.rates import Network, Rate, parse_rate
from authservice.config.setting import Setting
from authservice.config.settings import (
    BODY_MAX_BYTES,
    DEVELOPMENT_ORIGINS,
    ROLE,
    ROLES_MAX,
    SETTINGS,
)

__all__ = [
    "BODY_MAX_BYTES",
    "DEVELOPMENT_ORIGINS",
    "PUBLISHED_SECRETS",
    "ROLE",
    "ROLES_MAX",
    "SECRET_MIN_BYTES",
    "SETTINGS",
    "ConfigurationError",
    "Network",
    "Rate",
    "Relay",
    "Setting",
    "checkout",
    "development_encryption_keys",
    "development_secret",
    "import_named",
    "instance_path",
    "is_readable_on_the_network",
    "load",
    "parse_rate",
    "read_files",
    "require_usable",
    "value_of",
]
