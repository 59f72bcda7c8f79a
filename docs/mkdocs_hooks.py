"""Hooks of mkdocs: pages of the site that lie outside of ``docs``, and their links.

The documents stay as they are read in the repository, with relative links to each other and to other files. Here each
gets its place in the site, and its links lead there; notebooks become pages; files that are no documents are linked in
the repository, or copied where it has no address yet.
"""
import ast
import glob
import json
import os.path as osp
import re
from typing import Dict, Optional

from mkdocs.structure.files import File, Files

ROOT = osp.dirname(osp.dirname(osp.abspath(__file__)))
# the public interface: what `mmseg_unsup` and `mmseg_unsup.apis` offer, and the parts that a method is made of
INTERFACE = {
    'From Python': ['mmseg_unsup.apis.inferencer.UnsupInferencer', 'mmseg_unsup.apis.inferencer.Prediction',
                    'mmseg_unsup.apis.segment_folder.segment_folder',
                    'mmseg_unsup.apis.segmented_folder.SegmentedFolder',
                    'mmseg_unsup.apis.learn_folder.learn_folder', 'mmseg_unsup.apis.learned_folder.LearnedFolder',
                    'mmseg_unsup.apis.loading.load_segmentor',
                    'mmseg_unsup.apis.export.export_segmentor', 'mmseg_unsup.apis.export.ExportedSegmentor',
                    'mmseg_unsup.structures.ClusterNames'],
    'Parts of methods': ['mmseg_unsup.models.segmentors.cluster_segmentor.ClusterSegmentor',
                         'mmseg_unsup.models.decode_heads.cluster_head.ClusterHead',
                         'mmseg_unsup.models.backbones.frozen_backbone.FrozenBackbone',
                         'mmseg_unsup.clustering.kmeans.MiniBatchKMeans',
                         'mmseg_unsup.evaluation.metrics.cluster_iou.ClusterIoUMetric'],
}
NOTEBOOK = '.ipynb'
_LINK = re.compile(r'(\]\()([^)\s]+)(\))')
_CODE = re.compile(r'(^```.*?^```$|`[^`]*`)', re.S | re.M)


def pages() -> Dict[str, str]:
    """Path in the repository of every document -> its path in the site."""
    found = {'README.md': 'index.md'}
    found.update({name: name.lower() for name in ('CONTRIBUTING.md', 'CHANGELOG.md', 'SECURITY.md')})
    for path in sorted(glob.glob(osp.join(ROOT, 'configs', '*', 'README.md'))):
        name = osp.basename(osp.dirname(path))
        found[f'configs/{name}/README.md'] = f'configs/{name}.md'
    for path in glob.glob(osp.join(ROOT, 'docs', '*.md')):
        found[f'docs/{osp.basename(path)}'] = osp.basename(path)
    for path in glob.glob(osp.join(ROOT, 'docs', 'notebooks', f'*{NOTEBOOK}')):
        name = osp.basename(path)
        found[f'docs/notebooks/{name}'] = f'notebooks/{name.removesuffix(NOTEBOOK)}.md'
    return found


def repository() -> str:
    """The address that setup.py has, empty without one."""
    with open(osp.join(ROOT, 'setup.py'), encoding='utf-8') as file:
        found, = (node.value for node in ast.parse(file.read()).body
                  if isinstance(node, ast.Assign) and node.targets[0].id == 'REPOSITORY')
    return ast.literal_eval(found)


def interface() -> str:
    """A page of the docstrings."""
    parts = [f'## {title}\n\n' + '\n\n'.join(f'::: {name}\n    options: {{heading_level: 3}}' for name in names)
             for title, names in INTERFACE.items()]
    return '# Python interface\n\n' + '\n\n'.join(parts) + '\n'


def site_link(link: str, source: str, address: str) -> str:
    """The link of a document, as the site has it.

    Args:
        source: path of the document in the repository.
        address: of the repository, or empty.
    """
    if re.match(r'[a-z]+:|#', link):
        return link
    path, mark, anchor = link.partition('#')
    target = osp.normpath(osp.join(osp.dirname(source), path))
    place = pages().get(target) or _file_place(target, address)
    if ':' in place:
        return place
    return osp.relpath(place, osp.dirname(pages()[source]) or '.') + mark + anchor


def _file_place(path: str, address: str) -> str:
    if path.startswith('docs/'):
        return path[len('docs/'):]
    return f'{address}/blob/main/{path}' if address else f'files/{path}.txt'


def on_config(config):
    config['repo_url'] = repository() or None
    return config


def on_files(files: Files, config) -> Files:
    address = repository()
    for source, place in pages().items():
        if not source.startswith('docs/') or source.endswith(NOTEBOOK):
            files.append(File.generated(config, place, content=_read(source)))
        for link in () if address else _links(source):
            path = osp.normpath(osp.join(osp.dirname(source), link.partition('#')[0]))
            copied = f'files/{path}.txt'
            if path not in pages() and not path.startswith('docs/') and files.get_file_from_path(copied) is None:
                files.append(File.generated(config, copied, content=_read(path)))
    files.append(File.generated(config, 'api.md', content=interface()))
    return files


def on_page_markdown(markdown: str, page, config, files) -> str:
    """Links as the site has them; code is left as it is."""
    source: Optional[str] = next((source for source, place in pages().items() if place == page.file.src_uri), None)
    if source is None:
        return markdown
    if source.endswith(NOTEBOOK):
        name = osp.basename(source)
        markdown = markdown.replace('\n\n', f'\n\nA notebook: <a href="../{name}" download>{name}</a>.\n\n', 1)
    address, parts = repository(), _CODE.split(markdown)
    # a link may have code in its text: what is code stands at odd positions, and a link ends after it
    parts[::2] = [_LINK.sub(lambda link: link[1] + site_link(link[2], source, address) + link[3], part)
                  for part in parts[::2]]
    return ''.join(parts)


def on_page_content(html: str, page, config, files) -> str:
    """Roles and tuples of docstrings are plain; numbers with their spread, and options (site.css), stay on one line."""
    html = re.sub(r':(?:class|meth|func|mod|attr|data):<code>~?', '<code>', html)
    html = re.sub(r'<code>\((<autoref [^>]*>\w+Error<.*?)\)</code>', r'<code>\1</code>', html)
    html = re.sub(r'(?<=\d) ([±/]) (?=\d)', '\u00a0\\1\u00a0', html)
    return re.sub(r'(?<=[ >])--[a-z][a-z-]*', r'<span class="option">\g<0></span>', html)


def _read(path: str) -> str:
    with open(osp.join(ROOT, path), encoding='utf-8') as file:
        return as_markdown(json.load(file)) if path.endswith(NOTEBOOK) else file.read()


def as_markdown(notebook: dict) -> str:
    """The cells of a notebook, code in fences."""
    form = dict(markdown='{}', code='```python\n{}\n```')
    return '\n\n'.join(form[cell['cell_type']].format(''.join(cell['source'])) for cell in notebook['cells']) + '\n'


def _links(source: str):
    text = ''.join(_CODE.split(_read(source))[::2])
    return [link for _, link, _ in _LINK.findall(text) if not re.match(r'[a-z]+:|#', link)]
