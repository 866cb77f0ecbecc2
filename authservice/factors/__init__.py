"""What a user proves the identity with besides the password: an authenticator app and recovery codes."""
