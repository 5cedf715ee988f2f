"""The one exception for what a user can put right."""

_LONGEST = 1500  # characters of a line


class InputError(Exception):
    """Something given from outside is wrong: a file, a key, a setting, a name.

    The message is one line that names the thing and says what to do. Steps and commands print it
    without a traceback and exit with status 1.

    Parameters
    ----------
    message : the line. Characters that no line has, as names in broken files may, are written as
        Python would; of a very long line the middle is left out.
    more : further lines, where several things are wrong at once; they are set in.
    """

    def __init__(self, message: object = "", *more: object) -> None:
        super().__init__("\n  ".join(map(_line, (message, *more))))


def reason_of(error: BaseException) -> str:
    """The first line of what an error of a library says, or its type where it says nothing."""
    return next(iter(str(error).strip().splitlines()), type(error).__name__)


def _line(message: object) -> str:
    text = str(message)
    if len(text) > _LONGEST:  # what is wrong stands at its beginning, what to do at its end
        text = f"{text[: _LONGEST - 500]} … {text[-400:]}"
    return "".join(c if c.isprintable() else _escaped(c) for c in text)


def _escaped(character: str) -> str:
    if character in "\n\t":
        return " "
    return character.encode("unicode_escape").decode("ascii")
