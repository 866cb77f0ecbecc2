"""Settings: read from FLASK_* variables, checked at start-up, all faults named at once."""

from authservice.config.importing import import_named
from authservice.config.instance import checkout, development_secret, instance_path, require_usable
from authservice.config.loading import ConfigurationError, load, read_files
from authservice.config.mongo_uri import is_readable_on_the_network
from authservice.config.rates import Network, Rate, parse_rate
from authservice.config.settings import (
    BODY_MAX_BYTES,
    DEVELOPMENT_ORIGINS,
    PUBLISHED_SECRETS,
    ROLES_MAX,
    SECRET_MIN_BYTES,
    SETTINGS,
    Setting,
)

__all__ = [
    "BODY_MAX_BYTES",
    "DEVELOPMENT_ORIGINS",
    "PUBLISHED_SECRETS",
    "ROLES_MAX",
    "SECRET_MIN_BYTES",
    "SETTINGS",
    "ConfigurationError",
    "Network",
    "Rate",
    "Setting",
    "checkout",
    "development_secret",
    "import_named",
    "instance_path",
    "is_readable_on_the_network",
    "load",
    "parse_rate",
    "read_files",
    "require_usable",
]
