"""authservice: sign up, sign in, and guarded routes, on Flask and MongoDB.

These are the public names. Semantic versioning is promised for them, and for nothing else in the package.
"""

from authservice.app import AuthService, create_app
from authservice.config import ConfigurationError
from authservice.embedded import EmbeddedUnavailable
from authservice.signals import password_changed, signed_in, signed_out, user_created, user_deleted
from authservice.store.users import User
from authservice.web.guards import current_user, jwt_required, limited, roles_required, verified_email_required
from authservice.web.step_up import recent_authentication

__all__ = [
    "AuthService",
    "ConfigurationError",
    "EmbeddedUnavailable",
    "User",
    "create_app",
    "current_user",
    "jwt_required",
    "limited",
    "password_changed",
    "recent_authentication",
    "roles_required",
    "signed_in",
    "signed_out",
    "user_created",
    "user_deleted",
    "verified_email_required",
]
