"""Error responses as Klaviyo sends them: ``errors[]`` with id, status, code, title, detail and source."""

import uuid
from collections.abc import Mapping
from typing import Any

from klaviyo_assets.sandbox.records import encode

JSONAPI = "application/vnd.api+json"

THROTTLED = 429

_LINKS: dict[int, dict[str, str]] = {
    400: {},
    THROTTLED: {"type": "https://developers.klaviyo.com/en/docs/rate_limits_and_error_handling#rate-limits"},
}
"""The ``links`` of an error, by status; other errors have none."""


class ApiError(Exception):
    """An error response of the API.

    Args:
        status: HTTP status.
        code: Klaviyo's error code.
        title: The kind of error.
        detail: What is wrong with this request.
        parameter: The invalid query parameter, if there is one.
        pointer: JSON pointer to the cause, if it is not a query parameter.
        headers: Headers of the response.
    """

    def __init__(
        self,
        status: int,
        code: str,
        title: str,
        detail: str,
        parameter: str | None = None,
        headers: Mapping[str, str] | None = None,
        pointer: str = "/data/",
    ) -> None:
        super().__init__(detail)
        self.pointer = pointer
        self.status = status
        self.code = code
        self.title = title
        self.detail = detail
        self.parameter = parameter
        self.headers = dict(headers or {})

    def body(self) -> bytes:
        """Return the response's body."""
        error: dict[str, Any] = {
            "id": str(uuid.uuid4()),
            "status": self.status,
            "code": self.code,
            "title": self.title,
            "detail": self.detail,
            "source": {"parameter": self.parameter} if self.parameter else {"pointer": self.pointer},
        }
        if self.status in _LINKS:
            error |= {"links": _LINKS[self.status], "meta": {}}
        return encode({"errors": [error]})


class HtmlError(Exception):
    """An HTML error response from the edge; the request does not reach the API.

    Args:
        status: HTTP status.
        title: Title of the HTML page.
        headers: Headers of the response.
    """

    def __init__(self, status: int, title: str, headers: Mapping[str, str] | None = None) -> None:
        super().__init__(title)
        self.status = status
        self.title = title
        self.headers = dict(headers or {})

    def body(self) -> bytes:
        """Return the response's body."""
        title = f"{self.status} {self.title}".encode()
        return b"<html>\r\n<head><title>%b</title></head>\r\n<body>\r\n<center><h1>%b</h1></center>\r\n</body>\r\n</html>\r\n" % (title, title)


def invalid(detail: str, parameter: str) -> ApiError:
    """Return the 400 for an invalid query parameter."""
    return ApiError(400, "invalid", "Invalid input.", detail, parameter)
