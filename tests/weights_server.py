"""Weights served on the loopback address in place of a download, under a name with their hash."""
import functools
import hashlib
import json
import os
import time
from contextlib import contextmanager
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Dict, Iterator, List

import torch


class _Handler(SimpleHTTPRequestHandler):
    protocol_version = 'HTTP/1.0'

    def do_GET(self) -> None:
        time.sleep(self.server.delay)
        super().do_GET()

    def log_message(self, form: str, *args) -> None:
        self.server.requests.append(self.path.rpartition('/')[2])


@contextmanager
def serving(folder, delay: float = 0) -> Iterator[ThreadingHTTPServer]:
    """A server of a folder; its ``address``, and the names of files that it was asked for in ``requests``.

    Args:
        delay: seconds before it answers.
    """
    server = ThreadingHTTPServer(('127.0.0.1', 0), functools.partial(_Handler, directory=str(folder)))
    server.requests: List[str] = []
    server.delay, server.address = delay, f'http://127.0.0.1:{server.server_port}'
    thread = Thread(target=server.serve_forever, kwargs=dict(poll_interval=0.01))
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def publish(folder, state: dict, name: str) -> str:
    """Write weights under a name with their hash, as PyTorch does; returns it."""
    path = folder / f'{name}.pth'
    torch.save(state, path)
    published = f'{name}-{hashlib.sha256(path.read_bytes()).hexdigest()[:8]}.pth'
    path.rename(folder / published)
    return published


def write_table(home, addresses: Dict[str, str]) -> None:
    """The table by which a user gives ``torchvision://`` names addresses of their own, below MMENGINE_HOME."""
    os.makedirs(home, exist_ok=True)
    (home / 'torchvision.json').write_text(json.dumps(addresses))
