"""Turns the errors of decoders into :class:`InvalidResponse`, with what was found and where."""

from collections.abc import Iterator
from contextlib import contextmanager

from klaviyo_assets.api.klaviyo_errors import InvalidResponse
from klaviyo_assets.decode.malformed import UnreadablePage


@contextmanager
def locating_decode_errors() -> Iterator[None]:
    """Add the position to a decode error. The client drops the messages of parsers because they may quote response content; the decoder's do not.

    Raises:
        InvalidResponse: The same error, with the position; or what was found when a decoded page was used, outside of the client.
    """
    try:
        yield
    except InvalidResponse as error:
        if not isinstance(error.__cause__, UnreadablePage) or str(error.__cause__) in error.summary:  # the latter: located already, by an inner one
            raise
        raise InvalidResponse(
            f"{error.summary} {error.__cause__}", endpoint=error.endpoint, status=error.status, code=error.code, detail=error.detail
        ) from error.__cause__
    except UnreadablePage as error:
        raise InvalidResponse(f"Klaviyo's response is not the JSON that was expected. {error}") from error
