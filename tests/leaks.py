"""What no log line of a test run may contain: passwords, hashes, tokens, and the links and codes of mails."""

import re

SECRET = "tests-sign-with-this-secret-and-nothing-else-does"
PASSWORD = "correct horse battery"
# Also a bcrypt hash, a JWT, a password in a URI, and the token of a link
_SECRETS = re.compile(
    rf"{re.escape(SECRET)}|{re.escape(PASSWORD)}|\$2[aby]\$\d\d\$|eyJ[\w-]{{8,}}\.[\w-]{{8,}}\."
    r"|mongodb://[^/\s]+:[^/\s]+@|[\w~:-]{22,128}\.[\w-]{43}(?![\w-])"
)
_CODES = re.compile(r"(?<![0-9A-Za-z])(\d{4}) ?(\d{4})(?![0-9A-Za-z])")
_codes_sent: set[str] = set()


def remember_codes(text: str) -> None:
    """Of a mail that a test has received."""
    _codes_sent.update(first + second for first, second in _CODES.findall(text))


def lines_with_secrets(log: str) -> list[str]:
    return [line for line in log.splitlines() if _SECRETS.search(line) or _has_code(line)]


def _has_code(line: str) -> bool:
    return any(first + second in _codes_sent for first, second in _CODES.findall(line))
