"""Foreign text for a terminal or a log: what could steer one is escaped."""


def printable(text: str | bytes) -> str:
    """The text with everything but printable characters as escapes; bytes that are no UTF-8 as `\\xff`."""
    known = text if isinstance(text, str) else text.decode("utf-8", "backslashreplace")
    if known.isprintable():
        return known
    return "".join(
        char if char.isprintable() else char.encode("unicode_escape", "backslashreplace").decode()
        for char in known
    )
