"""The settings of a production installation without a mail server: it sends no mail."""

from tests.conftest import SECRET

PRODUCTION = {
    "ENV": "production",
    "SMTP_URL": None,
    "BCRYPT_LOG_ROUNDS": 10,
    "CORS_ORIGINS": "https://app.example.com",
    "METRICS": "off",
    "TRUSTED_PROXIES": 0,
    "JWT_SECRET_KEY": SECRET,
}
