"""Mails: their kinds, their wording, and how they reach the mail server."""
