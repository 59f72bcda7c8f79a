"""Curves as SVG that takes its colours from the page around it."""
from typing import Dict, Sequence, Tuple

from markupsafe import Markup, escape

_WIDTH, _HEIGHT = 560, 260
_LEFT, _RIGHT, _TOP, _BOTTOM = 72, 12, 14, 42


def line_chart(lines: Dict[str, Sequence[Tuple[float, float]]], x_title: str) -> Markup:
    """One SVG element; points show their values when pointed at, line i has the class ``line-i``.

    Args:
        lines: name -> points (x, y) in the order of x; not all empty.
    """
    points = [point for line in lines.values() for point in line]
    (x_ticks, x_of), (y_ticks, y_of) = (
        _axis([point[0] for point in points], _LEFT, _WIDTH - _RIGHT, whole=True),
        _axis([point[1] for point in points], _HEIGHT - _BOTTOM, _TOP, whole=False))
    parts = [f'<svg viewBox="0 0 {_WIDTH} {_HEIGHT}" role="img" aria-label="{escape(", ".join(lines))}">']
    for y in y_ticks:
        parts.append(f'<line class="grid" x1="{_LEFT}" x2="{_WIDTH - _RIGHT}" y1="{y_of(y):.1f}" y2="{y_of(y):.1f}"/>'
                     f'<text x="{_LEFT - 8}" y="{y_of(y) + 4:.1f}" text-anchor="end">{_number(y)}</text>')
    for x in x_ticks:
        parts.append(f'<text x="{x_of(x):.1f}" y="{_HEIGHT - _BOTTOM + 19}" text-anchor="middle">{_number(x)}</text>')
    parts.append(f'<text x="{(_LEFT + _WIDTH - _RIGHT) / 2}" y="{_HEIGHT - 4}" text-anchor="middle">{escape(x_title)}'
                 '</text>')
    for i, (name, line) in enumerate(lines.items()):
        path = ' '.join(f'{x_of(x):.1f},{y_of(y):.1f}' for x, y in line)
        parts.append(f'<polyline class="line-{i}" points="{path}"/>')
        parts += [f'<circle class="line-{i}" cx="{x_of(x):.1f}" cy="{y_of(y):.1f}" r="3"><title>{escape(name)} '
                  f'{_number(y)} at {_number(x)}</title></circle>' for x, y in line]
    return Markup(''.join([*parts, '</svg>']))


def _axis(values: Sequence[float], start: float, end: float, whole: bool):
    """Ticks, and the function from a value to its place between ``start`` and ``end``."""
    from matplotlib.ticker import MaxNLocator
    low, high = min(values), max(values)
    if low == high:
        margin = abs(low) / 2 or 0.5
        low, high = low - margin, high + margin
    ticks = MaxNLocator(6, integer=whole, steps=[1, 2, 2.5, 5, 10]).tick_values(low, high)
    if not whole:  # the curve ends inside the grid
        low, high = min(low, ticks[0]), max(high, ticks[-1])
    span = high - low
    return [tick for tick in ticks if low <= tick <= high], lambda value: start + (value - low) / span * (end - start)


def _number(value: float) -> str:
    """Four digits; small ones as ``1.6e-4``, for which there is room on a telephone."""
    if not 0 < abs(value) < 1e-3:
        return f'{value:.4g}'
    mantissa, exponent = f'{value:.2e}'.split('e')
    return f'{float(mantissa):g}e{int(exponent)}'
