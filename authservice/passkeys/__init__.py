"""Passkeys (WebAuthn): sign in without a password, and manage your own."""
