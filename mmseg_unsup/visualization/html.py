"""HTML files that need nothing else: no network, no second file."""
import json
import os
import os.path as osp
from typing import Any

import jinja2
from markupsafe import Markup

from ..utils.atomic import replacing

_PAGES = jinja2.Environment(
    loader=jinja2.PackageLoader('mmseg_unsup.visualization', 'page'), autoescape=True, undefined=jinja2.StrictUndefined)


def render_page(name: str, **values) -> str:
    """``page/NAME.html`` filled with values; beside them it has ``source``, which gives a file of ``page`` as it is."""
    return _PAGES.get_template(f'{name}.html').render(source=_source, **values)


def as_json(data: Any) -> Markup:
    """Plain values for a script element, which no text inside can close."""
    text = json.dumps(data, ensure_ascii=False, allow_nan=False, separators=(',', ':'))
    return Markup(text.replace('<', '\\u003c'))


def write_page(path: str, text: str, flush: bool = True) -> None:
    """Write the file in one step; makes its folder.

    Args:
        flush: see :func:`mmseg_unsup.utils.atomic.replacing`.
    """
    os.makedirs(osp.dirname(osp.abspath(path)), exist_ok=True)
    with replacing(path, flush) as part, open(part, 'w', encoding='utf-8') as file:
        file.write(text)


def _source(file: str) -> Markup:
    return Markup(_PAGES.loader.get_source(_PAGES, file)[0])
