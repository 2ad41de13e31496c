"""A server on loopback that answers with what a test has scripted, byte for byte."""

import threading
from collections import deque
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

JSON_API = "application/vnd.api+json"


@dataclass(frozen=True)
class Reply:
    """One answer; ``cut`` sends half of the body, ``drop`` closes without any."""

    status: int = 200
    body: bytes = b'{"data": [], "links": {"next": null}}'
    type: str = JSON_API
    headers: Mapping[str, str] = field(default_factory=dict)
    cut: bool = False
    drop: bool = False


@dataclass
class Scripted:
    """The server: answers in turn, the last one for ever; remembers the requests."""

    base_url: str
    replies: deque[Reply]
    requests: list[tuple[str, dict[str, str]]] = field(default_factory=list)

    def will(self, *replies: Reply) -> None:
        self.replies.clear()
        self.replies.extend(replies)


@contextmanager
def scripted_server() -> Iterator[Scripted]:
    script = Scripted("", deque([Reply()]))

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            script.requests.append((self.path, {name.lower(): value for name, value in self.headers.items()}))
            reply = script.replies.popleft() if len(script.replies) > 1 else script.replies[0]
            if reply.drop:
                self.close_connection = True
                return
            self.send_response(reply.status)
            self.send_header("Content-Type", reply.type)
            self.send_header("Content-Length", str(len(reply.body)))
            for name, value in reply.headers.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(reply.body[: len(reply.body) // 2] if reply.cut else reply.body)
            self.close_connection = reply.cut

        def log_message(self, format: str, *args: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    script.base_url = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield script
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
