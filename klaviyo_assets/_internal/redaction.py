"""Masks private API keys in text that is shown or stored."""

import re

_PRIVATE_KEY = re.compile(r"pk_[A-Za-z0-9_\-]{4,}")


def redact(text: str) -> str:
    """Replace everything that looks like a private API key by ``pk_***``.

    Example:
        >>> redact("Authorization: Klaviyo-API-Key pk_0123456789abcdef")
        'Authorization: Klaviyo-API-Key pk_***'
    """
    return _PRIVATE_KEY.sub("pk_***", text)


def without_key(error: BaseException) -> BaseException:
    """Return an error that shows no private API key, and neither do the errors that led to it; the error itself if none does.

    For errors of code that is not this package's, such as a user's own transport: its texts may quote the headers of a request. An error that shows a
    key is replaced by a ``RuntimeError`` with its type, redacted text and traceback. Raise the result outside the handler, whose error becomes the
    context of what is raised in it.

    Example:
        >>> without_key(ValueError("refused: pk_0123456789abcdef"))
        RuntimeError('ValueError: refused: pk_***')
    """
    return _without_key(error, {})


def _without_key(error: BaseException, done: dict[int, BaseException]) -> BaseException:
    if id(error) in done:
        return done[id(error)]
    texts = f"{error} {error!r} {getattr(error, '__notes__', '')}"
    shown = error
    if redact(texts) != texts:
        shown = RuntimeError(redact(f"{type(error).__name__}: {error}")).with_traceback(error.__traceback__)
    done[id(error)] = shown
    suppressed = error.__suppress_context__
    shown.__cause__ = _without_key(error.__cause__, done) if error.__cause__ is not None else None
    shown.__context__ = _without_key(error.__context__, done) if error.__context__ is not None else None
    shown.__suppress_context__ = suppressed
    return shown
