"""Curves as SVG that takes its colours from the page around it."""
import io
import re
from typing import Dict, Sequence, Tuple

from markupsafe import Markup, escape

# matplotlib draws in colours that stand for those of the page
_COLORS = {'#010000': '--soft', '#020000': '--line', **{f'#03000{i}': f'--line-{i}' for i in range(6)}}
_TEXT, _GRID, *_LINES = _COLORS


def line_chart(lines: Dict[str, Sequence[Tuple[float, float]]], x_title: str) -> Markup:
    """Draw one SVG element; points show their values when pointed at, line i has the colour ``--line-i`` of the page.

    Args:
        lines: name -> points (x, y) in the order of x; six at most, not all empty.
    """
    import matplotlib
    from matplotlib.figure import Figure
    from matplotlib.ticker import MaxNLocator
    figure = Figure(figsize=(5.6, 2.6))
    axes = figure.subplots(gridspec_kw=dict(left=0.11, right=0.99, bottom=0.18, top=0.96))
    for color, points in zip(_LINES, lines.values()):
        axes.plot(*zip(*points), color=color, marker='o', markersize=4, clip_on=False)
    axes.xaxis.set_major_locator(MaxNLocator(6, integer=True, steps=[1, 2, 2.5, 5, 10]))
    for axis in (axes.xaxis, axes.yaxis):
        axis.set_major_formatter(lambda value, position: _number(value))
    axes.set_xlabel(x_title, color=_TEXT)
    axes.grid(axis='y', color=_GRID)
    axes.tick_params(length=0, labelcolor=_TEXT)
    axes.spines[:].set_visible(False)
    file = io.StringIO()
    unsaid = dict.fromkeys(('Date', 'Creator', 'Format', 'Type'))
    with matplotlib.rc_context({'svg.fonttype': 'none', 'svg.hashsalt': ' '.join(lines)}):  # ids of the same bytes
        figure.savefig(file, format='svg', transparent=True, metadata=unsaid)
    titles = [f'{name} {_number(y)} at {_number(x)}' for name, line in lines.items() for x, y in line]
    return Markup(_inline(file.getvalue(), ', '.join(lines), titles))


def _inline(svg: str, label: str, titles: Sequence[str]) -> str:
    """Make an element of a page of matplotlib's file: without namespaces, fonts and ids of groups."""
    head = f'<svg {re.search("viewBox=.*?(?= xmlns)", svg)[0]} role="img" aria-label="{escape(label)}">'
    svg = head + re.sub('<g id="[^"]*"', '<g', svg[svg.index('>', svg.index('<svg')) + 1:])
    svg = re.sub('font-size: [^;]*; font-family: [^;]*; ', '', svg)
    left = iter(titles)
    svg = re.sub('(<use [^>]*)/>', lambda found: f'{found[1]}><title>{escape(next(left))}</title></use>', svg)
    return re.sub('#0[123]000.', lambda found: f'var({_COLORS[found[0]]})', svg)


def _number(value: float) -> str:
    """Four digits; small ones as ``1.6e-4``, for which there is room on a telephone."""
    if not 0 < abs(value) < 1e-3:
        return f'{value:.4g}'
    mantissa, exponent = f'{value:.2e}'.split('e')
    return f'{float(mantissa):g}e{int(exponent)}'
