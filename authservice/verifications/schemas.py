"""The bodies of the routes that prove an address."""

from authservice.web.fields import Password, Text
from authservice.web.parsing import Body


class VerificationSchema(Body):
    token = Text(metadata={"description": "Of the link; or send code", "example": "token of the link"})
    code = Text(metadata={"description": "Of the mail, with or without its space", "example": "1234 5678"})


class PasswordVerificationSchema(Body):
    token = Text(required=True, metadata={"description": "Of the link", "example": "token of the link"})
    password = Password(required=True)
