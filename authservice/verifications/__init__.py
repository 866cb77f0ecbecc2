"""The proof of an address: a mail, and what comes back of it."""
