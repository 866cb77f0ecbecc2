"""The second step of a sign-in, and a further proof within a session."""
