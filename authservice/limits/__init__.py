"""How many attempts a client, an account and a session have: a mechanism below the features, without HTTP."""
