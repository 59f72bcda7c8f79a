"""Web servers of tests, on the loopback address."""
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Callable, Iterator


@contextmanager
def running_server(handler: Callable[..., BaseHTTPRequestHandler], **attributes) -> Iterator[ThreadingHTTPServer]:
    """A server with its ``address`` and these ``attributes``, until the block ends."""
    server = ThreadingHTTPServer(('127.0.0.1', 0), handler)
    server.daemon_threads = True
    server.address = f'http://127.0.0.1:{server.server_port}'
    vars(server).update(attributes)
    thread = Thread(target=server.serve_forever, kwargs=dict(poll_interval=0.01))
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
