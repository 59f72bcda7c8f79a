"""Weights served on the loopback address in place of a download, under a name with their hash."""
import functools
import hashlib
import json
import os
import time
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from typing import ContextManager, Dict

import torch

from .loopback import running_server


class _Handler(SimpleHTTPRequestHandler):
    protocol_version = 'HTTP/1.0'

    def do_GET(self) -> None:
        time.sleep(self.server.delay)
        super().do_GET()

    def log_message(self, form: str, *args) -> None:
        self.server.requests.append(self.path.rpartition('/')[2])


def serving(folder, delay: float = 0) -> ContextManager[ThreadingHTTPServer]:
    """A server of a folder; its ``address``, and the names of files that it was asked for in ``requests``.

    Args:
        delay: seconds before it answers.
    """
    return running_server(functools.partial(_Handler, directory=str(folder)), requests=[], delay=delay)


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
