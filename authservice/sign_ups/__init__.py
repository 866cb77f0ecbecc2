"""Signing up: how an account comes to be over HTTP, and its proof of work."""
