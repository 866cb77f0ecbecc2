"""Settings that name an object in your own code, such as FLASK_CLAIMS=myapp.auth:claims."""

import functools
import importlib
import traceback
from typing import Any

from authservice.config.loading import ConfigurationError


def import_named(variable: str, value: Any) -> Any:
    """The object that ``value`` names, or ``value`` itself if it is not text. Raises ConfigurationError.

    The application calls this, in each worker: if gunicorn's master imported the module, a reload would keep the old
    code.
    """
    if not isinstance(value, str):
        return value
    module, _, path = value.partition(":")
    try:
        found: Any = importlib.import_module(module)
    except Exception as error:
        raise ConfigurationError([f"{variable} cannot be imported: {_reason(error)}"]) from None
    try:
        return functools.reduce(getattr, path.split("."), found)
    except AttributeError:
        raise ConfigurationError([f"{variable} cannot be imported: {module} has no {path}"]) from None


def _reason(error: Exception) -> str:
    """The text of most errors may contain a secret. The place in the code does not."""
    if isinstance(error, ImportError | SyntaxError):
        return str(error)
    place = traceback.extract_tb(error.__traceback__)[-1]
    return f"{type(error).__name__} at {place.filename}:{place.lineno}"
