"""The profiles of the tests, as an app would write them."""

from marshmallow import Schema, ValidationError, fields, validate, validates_schema


class AddressSchema(Schema):
    street = fields.String(required=True)
    city = fields.String(required=True)


class ProfileSchema(Schema):
    name = fields.String(required=True, validate=validate.Length(1, 100), metadata={"example": "Natalie"})
    nickname = fields.String(data_key="nickName", attribute="nick", allow_none=True)
    age = fields.Integer(strict=True)
    bornOn = fields.Date()
    seenAt = fields.AwareDateTime()
    score = fields.Decimal(as_string=True)
    token = fields.UUID()
    locale = fields.String(load_default="en")
    address = fields.Nested(AddressSchema)
    notes = fields.Raw(allow_none=True)
    pin = fields.String(load_only=True)
    shout = fields.Function(lambda stored: stored["name"].upper())  # dump only

    @validates_schema
    def refuse_root(self, data, **kwargs):
        if data.get("name") == "root":
            raise ValidationError("Nobody is called root.")
        if data.get("nick") == "root":
            raise ValidationError("Nobody is called root.", "nickName")


class PetSchema(Schema):
    """Of another app in the same process."""

    pet = fields.String(required=True)
    name = fields.Integer()
