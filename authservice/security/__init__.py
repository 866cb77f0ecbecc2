"""Mechanisms that several features share, such as passwords and tokens. No HTTP, no database."""
