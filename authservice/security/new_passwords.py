"""Which passwords may be set: none that an attacker tries first. Nothing here concerns those that are set already."""

from authservice.errors import Fault, ValidationFailed
from authservice.security.common_passwords import is_common


def require_hard_to_guess(password: str, pointer: str = "/password") -> None:
    """Raises ValidationFailed with a fault at ``pointer``.

    It knows nothing of the accounts there are, so sign-up can ask it before it looks for one.
    """
    if is_common(password):
        raise ValidationFailed(
            [Fault(pointer, "password_common", "Choose another password: this one is among the most common ones.")]
        )
