"""A server on the loopback address that knows ranges, and whose connections break when a test says so."""
import hashlib
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import ContextManager, Sequence

from .loopback import running_server


class _Handler(BaseHTTPRequestHandler):

    def do_GET(self) -> None:
        server, path = self.server, Path(self.server.folder, self.path.lstrip('/'))
        server.requests.append((path.name, self.headers.get('Range')))
        server.paths.append(self.path)
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


def serving_ranges(folder, cuts: Sequence[int] = (), knows_ranges: bool = True) -> ContextManager[ThreadingHTTPServer]:
    """A server of a folder: its ``address``, and ``requests``, names of files and the ranges that were asked for, and
    their whole ``paths``.

    Args:
        cuts: after how many bytes the first connections break.
        knows_ranges: else it sends every file from its beginning.
    """
    return running_server(_Handler, folder=str(folder), cuts=[*cuts], knows_ranges=knows_ranges, requests=[],
                          paths=[])
