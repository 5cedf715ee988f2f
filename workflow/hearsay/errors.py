"""The one exception for what a user can put right."""


class InputError(Exception):
    """Something given from outside is wrong: a file, a key, a setting, a name.

    The message is one line that names the thing and says what to do. Steps and commands print it
    without a traceback and exit with status 1.
    """
