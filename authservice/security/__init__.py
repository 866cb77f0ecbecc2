"""Mechanisms that several features share: passwords and tokens. No HTTP and no database in here."""
