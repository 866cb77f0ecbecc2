"""The bodies of the routes that change an e-mail."""

from authservice.web.fields import NewEmail, Password, Text
from authservice.web.parsing import Body


class EmailChangeSchema(Body):
    newEmail = NewEmail(required=True, metadata={"example": "natalie@new.example.com"})
    currentPassword = Password(required=True)


class EmailConfirmationSchema(Body):
    token = Text(metadata={"description": "Of the link; or send code", "example": "token of the link"})
    code = Text(metadata={"description": "Of the mail, with or without its space", "example": "1234 5678"})


class EmailUndoSchema(Body):
    token = Text(required=True, metadata={"description": "Of the link", "example": "token of the link"})
