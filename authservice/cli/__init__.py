"""The commands that ``flask`` and ``authservice`` share, and their exit codes beside 0, done."""

EXIT_REFUSED = 1  # no such user, e-mail taken
EXIT_BAD_INPUT = 2
EXIT_DATABASE = 3  # it does not answer, or the settings are faulty
