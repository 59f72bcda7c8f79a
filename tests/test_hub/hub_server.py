"""A Hugging Face hub on the loopback address, as far as a model is pushed to it and fetched from it."""
import base64
import hashlib
import json
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import ContextManager, Dict, Optional
from urllib.parse import unquote, urlsplit

from ..loopback import running_server

TOKEN = 'hf_token_of_tests'
COMMIT = '0123456789abcdef0123456789abcdef01234567'


class _Handler(BaseHTTPRequestHandler):
    protocol_version = 'HTTP/1.1'

    def do_HEAD(self) -> None:
        self._resolve(body=False)

    def do_GET(self) -> None:
        if self.path.startswith('/api/whoami'):
            self._json({'name': 'owner', 'type': 'user'}) if self._is_known() else self._fail(401, 'Invalid token')
        elif self.path.startswith('/api/models/'):
            name = unquote(urlsplit(self.path).path).removeprefix('/api/models/')
            self._json({'id': name, 'private': name in self.server.private})
        else:
            self._resolve(body=True)

    def do_POST(self) -> None:
        content = self.rfile.read(int(self.headers['Content-Length']))
        path = unquote(urlsplit(self.path).path)
        self.server.requests.append(f'POST {path}')
        if not self._is_known():
            self._fail(401, 'Invalid username or password.')
        elif path == '/api/repos/create':
            name = json.loads(content)
            repository = f'{name.get("organization") or "owner"}/{name["name"]}'
            is_private = name.get('private') or name.get('visibility') == 'private'  # by release of huggingface_hub
            if is_private and repository not in self.server.repositories:
                self.server.private.add(repository)
            self.server.repositories.setdefault(repository, {})
            self._json({'url': f'{self.server.address}/{repository}'})
        elif '/preupload/' in path:
            self._json({'files': [{'path': file['path'], 'uploadMode': 'regular', 'shouldIgnore': False}
                                  for file in json.loads(content)['files']]})
        elif '/commit/' in path:
            repository = path.removeprefix('/api/models/').partition('/commit/')[0]
            files = self.server.repositories[repository]
            for line in map(json.loads, content.splitlines()):
                if line['key'] == 'file':
                    files[line['value']['path']] = base64.b64decode(line['value']['content'])
                elif line['key'] == 'deletedFile':
                    del files[line['value']['path']]
            self._json({'commitUrl': f'{self.server.address}/{repository}/commit/{COMMIT}', 'commitOid': COMMIT})
        else:
            self._json({})

    def _resolve(self, body: bool) -> None:
        repository, _, rest = unquote(urlsplit(self.path).path).lstrip('/').partition('/resolve/')
        file = rest.partition('/')[2]
        content = self.server.repositories.get(repository, {}).get(file)
        self.server.requests.append(f'{self.command} {file} {self.headers.get("Range") or ""}'.strip())
        if repository not in self.server.repositories:
            self._fail(401, 'Invalid username or password.', 'RepoNotFound')  # as the hub says it
        elif content is None:
            self._fail(404, 'Entry not found', 'EntryNotFound')
        else:
            self._send(content, body)

    def _send(self, content: bytes, body: bool) -> None:
        asked = self.headers.get('Range') if body else None
        start = int(asked.removeprefix('bytes=').split('-')[0]) if asked else 0
        self.send_response(206 if asked else 200)
        if asked:
            self.send_header('Content-Range', f'bytes {start}-{len(content) - 1}/{len(content)}')
        self.send_header('ETag', f'"{hashlib.sha256(content).hexdigest()}"')
        self.send_header('X-Repo-Commit', COMMIT)
        self.send_header('Content-Length', str(len(content) - start))
        self.end_headers()
        if body:
            limit = self.server.cuts.pop(0) if self.server.cuts else None
            self.wfile.write(content[start:] if limit is None else content[start:start + limit])
            self.close_connection = limit is not None

    def _json(self, value: dict) -> None:
        self._answer(200, json.dumps(value).encode(), {})

    def _fail(self, status: int, text: str, code: Optional[str] = None) -> None:
        headers = {'X-Error-Message': text, **({'X-Error-Code': code} if code else {})}
        if code == 'EntryNotFound':
            headers['X-Repo-Commit'] = COMMIT
        self._answer(status, json.dumps({'error': text}).encode(), headers)

    def _answer(self, status: int, content: bytes, headers: Dict[str, str]) -> None:
        self.send_response(status)
        for name, value in {**headers, 'Content-Type': 'application/json', 'Content-Length': len(content)}.items():
            self.send_header(name, str(value))
        self.end_headers()
        if self.command != 'HEAD':
            self.wfile.write(content)

    def _is_known(self) -> bool:
        return self.headers.get('Authorization') == f'Bearer {TOKEN}'

    def log_message(self, form: str, *args) -> None:
        pass


def hub_server() -> ContextManager[ThreadingHTTPServer]:
    """Its ``address``, ``repositories`` (name -> file -> content), names of the ``private`` ones, ``requests``, and
    ``cuts``: after how many bytes the next downloads break."""
    return running_server(_Handler, repositories={}, private=set(), requests=[], cuts=[])
