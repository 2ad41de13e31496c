"""Says where in Klaviyo's answer the trouble is."""

from collections.abc import Iterator
from contextlib import contextmanager

from klaviyo_assets.api.errors import BadAnswer
from klaviyo_assets.decode.malformed import UnreadablePage


@contextmanager
def saying_where() -> Iterator[None]:
    """Add to the client's error what the decoder knows: the client tells no words of a parser, which may quote the answer; the decoder's do not.

    Raises:
        BadAnswer: As it was met, with the place.
    """
    try:
        yield
    except BadAnswer as error:
        if not isinstance(error.__cause__, UnreadablePage):
            raise
        raise BadAnswer(
            f"{error.summary} {error.__cause__}", endpoint=error.endpoint, status=error.status, code=error.code, detail=error.detail
        ) from error.__cause__
