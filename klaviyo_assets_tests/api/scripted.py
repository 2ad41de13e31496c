"""A local server that sends the responses that a test defines, byte for byte."""

import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

JSON_API = "application/vnd.api+json"


@dataclass(frozen=True)
class Reply:
    """One response.

    ``cut`` sends half of the body, ``drop`` closes the connection without a response, ``after`` delays it by some seconds. ``drip`` sends the body
    one byte at a time, this many seconds apart. ``endless`` repeats the body in chunks until the client closes the connection.
    """

    status: int = 200
    body: bytes = b'{"data": [], "links": {"next": null}}'
    type: str = JSON_API
    headers: Mapping[str, str] = field(default_factory=dict)
    cut: bool = False
    drop: bool = False
    after: float = 0.0
    drip: float = 0.0
    endless: bool = False


@dataclass
class Scripted:
    """The server: sends its replies in order and repeats the last one; records the requests."""

    base_url: str
    replies: deque[Reply]
    requests: list[tuple[str, dict[str, str]]] = field(default_factory=list)
    at_once: int = 0
    most_at_once: int = 0
    responder: Callable[[str], Reply] | None = None
    """Returns the response to a path, instead of the replies."""
    bytes_sent: int = 0
    """Bytes of endless bodies."""
    together: threading.Barrier | None = None
    """If set, requests get a response only once the barrier is full."""

    def respond_with(self, *replies: Reply) -> None:
        self.replies.clear()
        self.replies.extend(replies)


@contextmanager
def scripted_server() -> Iterator[Scripted]:
    script = Scripted("", deque([Reply()]))
    lock = threading.Lock()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = True  # otherwise the body would be sent 40 ms after the headers

        def do_GET(self) -> None:
            with lock:
                script.requests.append((self.path, {name.lower(): value for name, value in self.headers.items()}))
                script.at_once += 1
                script.most_at_once = max(script.most_at_once, script.at_once)
                if script.responder is not None:
                    reply = script.responder(self.path)
                else:
                    reply = script.replies.popleft() if len(script.replies) > 1 else script.replies[0]
            try:
                if script.together is not None:
                    script.together.wait(timeout=10)
            finally:
                with lock:
                    script.at_once -= 1
            time.sleep(reply.after)
            with suppress(ConnectionError):
                self.send_reply(reply)

        def send_reply(self, reply: Reply) -> None:
            if reply.drop:
                self.close_connection = True
                return
            self.send_response_only(reply.status)
            if "Date" not in reply.headers:
                self.send_header("Date", self.date_time_string())
            self.send_header("Content-Type", reply.type)
            if reply.endless:
                self.send_header("Transfer-Encoding", "chunked")
            elif "Content-Length" not in reply.headers:
                self.send_header("Content-Length", str(len(reply.body)))
            for name, value in reply.headers.items():
                self.send_header(name, value)
            self.end_headers()
            if reply.drip:
                for byte in reply.body:
                    time.sleep(reply.drip)
                    self.wfile.write(bytes([byte]))
                return
            while reply.endless:
                self.wfile.write(b"%x\r\n%s\r\n" % (len(reply.body), reply.body))
                script.bytes_sent += len(reply.body)
            self.wfile.write(reply.body[: len(reply.body) // 2] if reply.cut else reply.body)
            self.close_connection = reply.cut

        def log_message(self, format: str, *args: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    script.base_url = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    try:
        yield script
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
