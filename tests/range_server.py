"""A server on the loopback address that knows ranges, and whose connections break when a test says so."""
import hashlib
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Iterator, List


class _Handler(BaseHTTPRequestHandler):

    def do_GET(self) -> None:
        server, path = self.server, Path(self.server.folder, self.path.lstrip('/'))
        server.requests.append((path.name, self.headers.get('Range')))
        if not path.is_file():
            self.send_error(404)
            return
        content = path.read_bytes()
        tag = f'"{hashlib.md5(content).hexdigest()}"'
        start = self._start(tag) if server.knows_ranges else 0
        if start and start >= len(content):
            self.send_response(416)
            self.send_header('Content-Range', f'bytes */{len(content)}')
            self.send_header('Content-Length', '0')
            self.end_headers()
            return
        self.send_response(206 if start else 200)
        if start:
            self.send_header('Content-Range', f'bytes {start}-{len(content) - 1}/{len(content)}')
        if server.knows_ranges:
            self.send_header('ETag', tag)
        self.send_header('Content-Length', str(len(content) - start))
        self.end_headers()
        limit = server.cuts.pop(0) if server.cuts else None
        self.wfile.write(content[start:] if limit is None else content[start:start + limit])

    def _start(self, tag: str) -> int:
        asked = self.headers.get('Range')
        return int(asked.removeprefix('bytes=').rstrip('-')) if asked and self.headers.get('If-Range') == tag else 0

    def log_message(self, form: str, *args) -> None:
        pass


@contextmanager
def serving_ranges(folder, cuts: List[int] = (), knows_ranges: bool = True) -> Iterator[ThreadingHTTPServer]:
    """A server of a folder: its ``address``, and ``requests``, names of files and the ranges that were asked for.

    Args:
        cuts: after how many bytes the first connections break.
        knows_ranges: else it sends every file from its beginning.
    """
    server = ThreadingHTTPServer(('127.0.0.1', 0), _Handler)
    server.folder, server.cuts, server.knows_ranges, server.requests = str(folder), [*cuts], knows_ranges, []
    server.address = f'http://127.0.0.1:{server.server_port}'
    thread = Thread(target=server.serve_forever, kwargs=dict(poll_interval=0.01))
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
