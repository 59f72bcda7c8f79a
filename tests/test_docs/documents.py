"""The documents of the project, and what stands in them."""
import glob
import json
import os.path as osp
import re
from typing import Iterator, List, NamedTuple, Optional

from ..conftest import ROOT

DOCUMENTS = ['README.md'] + [
    osp.relpath(path, ROOT) for pattern in ('docs/*.md', 'docs/notebooks/*.ipynb', 'configs/*/README.md')
    for path in sorted(glob.glob(osp.join(ROOT, pattern)))
]
# what a person who works on the project reads; its commands are not run
PROJECT = ['CONTRIBUTING.md', 'CHANGELOG.md', 'SECURITY.md']
_BLOCK = re.compile(r'^```(\w*)\n(.*?)^```$', re.S | re.M)


class Block(NamedTuple):
    """A fenced block: its language, '' for output, and its text."""
    language: str
    text: str

    @property
    def path(self) -> Optional[str]:
        """Of a Python file, from its first line."""
        found = re.match(r'# (\S+\.py)\n', self.text)
        return found and found[1]


def read(document: str) -> str:
    """Its text; of a notebook without the code, which test_notebooks.py runs."""
    with open(osp.join(ROOT, document), encoding='utf-8') as file:
        if not document.endswith('.ipynb'):
            return file.read()
        cells = json.load(file)['cells']
    return '\n\n'.join(''.join(cell['source']) for cell in cells if cell['cell_type'] == 'markdown')


def blocks(document: str) -> List[Block]:
    """In the order written."""
    return [Block(*match.groups()) for match in _BLOCK.finditer(read(document))]


def commands(block: Block) -> List[str]:
    """Lines of a bash block, continued ones as one."""
    if block.language != 'bash':
        return []
    return [line for line in block.text.replace('\\\n', ' ').splitlines() if line and not line.startswith('#')]


def all_commands(document: str) -> List[str]:
    return [line for block in blocks(document) for line in commands(block)]


def prose(document: str) -> str:
    """What is left without the blocks."""
    return _BLOCK.sub('', read(document))


def inline_code(document: str) -> List[str]:
    return re.findall(r'`([^`\n]+)`', prose(document).replace('\n', ' '))


def links(document: str) -> List[str]:
    return re.findall(r'\]\(([^)\s]+)\)', re.sub(r'`[^`]*`', '', prose(document)))


def anchors(document: str) -> Iterator[str]:
    """Of the headings, as GitHub makes them."""
    for title in re.findall(r'^#+ (.*)$', prose(document), re.M):
        yield re.sub(r'[^\w\- ]', '', title.lower()).replace(' ', '-')
