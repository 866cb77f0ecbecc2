"""The only home of MongoDB: one atomic operation a function, and no rules in here."""
