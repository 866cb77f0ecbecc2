"""A change of the e-mail: proven by a mail to the new address, and undone by one to the old."""
