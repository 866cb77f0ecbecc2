"""A forgotten password: a mail, and the new password by its link or code."""
