"""A gallery of clusters as one HTML file."""
import json
from typing import Dict

from markupsafe import Markup

from .html import render_page


def render_gallery(page: Dict, data: Dict) -> str:
    """Fill the template.

    Args:
        page: what the HTML shows as it is: ``title``, ``facts`` (name, value, note), ``place_name``,
            ``direction_name``, ``provenance`` (lines) and ``labels``: None, or ``matching`` and ``rows``.
        data: what the script of the page draws and edits; plain values, bytes as base64. See ``gallery.js``.
    """
    # no text inside can close the script element
    text = json.dumps(data, ensure_ascii=False, allow_nan=False, separators=(',', ':')).replace('<', '\\u003c')
    return render_page('gallery', page=page, data=Markup(text))
