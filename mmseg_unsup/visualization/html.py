"""HTML files that need nothing else: no network, no second file."""
import os
import os.path as osp

import jinja2
from markupsafe import Markup

from ..utils.atomic import replacing

_PAGES = jinja2.Environment(
    loader=jinja2.PackageLoader('mmseg_unsup.visualization', 'page'), autoescape=True, undefined=jinja2.StrictUndefined)


def render_page(name: str, **values) -> str:
    """``page/NAME.html``, with ``css``, the common style and ``page/NAME.css``, and ``js``, ``page/NAME.js`` if there
    is one."""
    sources = [_source(f'{name}.css'), _source(f'{name}.js') if f'{name}.js' in _PAGES.list_templates() else '']
    css, js = Markup(_source('base.css') + sources[0]), Markup(sources[1])
    return _PAGES.get_template(f'{name}.html').render(css=css, js=js, **values)


def write_page(path: str, text: str, flush: bool = True) -> None:
    """Write the file in one step; makes its folder.

    Args:
        flush: see :func:`mmseg_unsup.utils.atomic.replacing`.
    """
    os.makedirs(osp.dirname(osp.abspath(path)), exist_ok=True)
    with replacing(path, flush) as part, open(part, 'w', encoding='utf-8') as file:
        file.write(text)


def _source(file: str) -> str:
    return _PAGES.loader.get_source(_PAGES, file)[0]
