"""Charts of numbers about clusters, as pictures."""
from typing import Optional, Sequence

import numpy as np

_DPI, _MAX_TICKS, _MAX_NUMBERS = 100, 40, 40


def size_chart(shares: np.ndarray, palette: np.ndarray) -> np.ndarray:
    """Bars of the shares of pixels, largest first, each in the colour of its cluster.

    Args:
        shares: (K,) that sum to 1.
        palette: (K, 3) uint8 RGB.

    Returns:
        (H, W, 3) uint8 RGB.
    """
    figure = _figure(min(16., max(5., 0.28 * len(shares))), 3.2)
    axes = figure.subplots()
    order = np.argsort(-shares, kind='stable')
    axes.bar(range(len(order)), 100 * shares[order], color=palette[order] / 255)
    shown = _ticks(len(order))
    axes.set_xticks(shown, [str(order[i]) for i in shown], fontsize=8)
    axes.set_xlim(-0.6, len(order) - 0.4)
    axes.set_xlabel('cluster')
    axes.set_ylabel('% of pixels')
    axes.set_title(f'{(shares > 0).sum()} of {len(shares)} clusters used, the largest has {100 * shares.max():.1f} %')
    axes.spines[['top', 'right']].set_visible(False)
    return _render(figure)


def heat_map(values: np.ndarray, rows: Sequence[str], columns: Sequence[str], title: str, low: float = 0.,
             high: float = 1., row_title: Optional[str] = None, column_title: Optional[str] = None,
             write_numbers: bool = False) -> np.ndarray:
    """A matrix as colours from ``low`` to ``high``.

    Args:
        values: (R, C).
        rows, columns: R and C names; of many, only some are written.
        write_numbers: also write the values, rounded; 0 is left out, and all where there is no space for them.

    Returns:
        (H, W, 3) uint8 RGB.
    """
    height, width = (min(14., max(3., 0.24 * n)) for n in values.shape)
    figure = _figure(width + 2.4, height + 1.4)
    axes = figure.subplots()
    shown = axes.imshow(values, vmin=low, vmax=high, cmap='viridis', aspect='auto', interpolation='nearest')
    for set_ticks, names, is_turned in ((axes.set_xticks, columns, True), (axes.set_yticks, rows, False)):
        ticks = _ticks(len(names))
        texts = [str(names[i]) for i in ticks]
        is_turned &= max(map(len, texts)) > 2
        set_ticks(ticks, texts, fontsize=8, rotation=90 if is_turned else 0)
    if write_numbers and max(values.shape) <= _MAX_NUMBERS:
        for (r, c), value in np.ndenumerate(values):
            if round(value):
                color = 'black' if value > (low + high) / 2 else 'white'
                axes.text(c, r, f'{value:.0f}', ha='center', va='center', fontsize=8, color=color)
    axes.set_title(title)
    axes.set_xlabel(column_title or '')
    axes.set_ylabel(row_title or '')
    figure.colorbar(shown, ax=axes, fraction=0.04, pad=0.02)
    return _render(figure)


def _figure(width: float, height: float):
    """Inches; not from pyplot, which would keep all figures of a run in memory."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure
    figure = Figure(figsize=(width, height), dpi=_DPI, layout='tight')
    FigureCanvasAgg(figure)
    return figure


def _ticks(count: int) -> range:
    return range(0, count, -(-count // _MAX_TICKS))


def _render(figure) -> np.ndarray:
    figure.canvas.draw()
    return np.asarray(figure.canvas.buffer_rgba())[..., :3].copy()
