"""A server on the loopback address that answers what a test says, be it wrong."""
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import ContextManager, Mapping, NamedTuple

from .loopback import running_server


class Answer(NamedTuple):
    """What is sent: ``Content-Length`` is that of the content unless ``headers`` have another, None for none."""
    content: bytes = b''
    status: int = 200
    headers: Mapping[str, str] = {}


class _Handler(BaseHTTPRequestHandler):

    def do_GET(self) -> None:
        server = self.server
        server.ranges.append(self.headers.get('Range'))
        answer = server.answers.pop(0) if len(server.answers) > 1 else server.answers[0]
        self.send_response(answer.status)
        for name, value in {'Content-Length': str(len(answer.content)), **answer.headers}.items():
            if value is not None:
                self.send_header(name, value)
        self.end_headers()
        self.wfile.write(answer.content)

    def log_message(self, form: str, *args) -> None:
        pass


def answering(*answers: Answer) -> ContextManager[ThreadingHTTPServer]:
    """A server that gives these answers in turn, the last one again and again: its ``address``, and the ``ranges`` that
    it was asked for."""
    return running_server(_Handler, answers=[*answers], ranges=[])
