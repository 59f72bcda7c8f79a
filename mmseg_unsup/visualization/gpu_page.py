"""What a machine was asked and found, as one HTML file that needs nothing else."""
from typing import Dict, Iterator, List, Tuple

from .html import render_page
from .line_chart import line_chart

STATUSES = ('failed', 'skipped', 'ok')
_GIB = 2**30


def render_gpu_report(report: dict) -> str:
    """The page of what ``mmseg-unsup gpu-report`` has found so far.

    Args:
        report: ``machine`` (name -> text), ``quick`` and ``checks``, see ``run_report`` in analysis/gpu_report.py.
    """
    checks = report['checks']
    rows = [(name, check, list(number_texts(check['numbers']))) for name, check in checks.items()]
    counts = {status: sum(check['status'] == status for check in checks.values()) for status in STATUSES}
    return render_page('gpu_report', machine=report['machine'], quick=report['quick'], rows=rows, counts=counts,
                       target=target_text(checks), chart=_loader_chart(checks))


def target_text(checks: Dict[str, dict]) -> str:
    """What became of the target for epochs of COCO size; empty where none was measured."""
    found = {kind: checks.get(f'coco-epoch-{kind}', {}).get('numbers', {}) for kind in ('amp', 'float32')}
    found = {kind: numbers for kind, numbers in found.items() if 'minutes_of_10_epochs' in numbers}
    results = '; '.join(f'{numbers["minutes_of_10_epochs"]:.1f} min with {kind}, from {numbers["images"]:,} images'
                        for kind, numbers in found.items())
    for numbers in found.values():
        return (f'10 epochs of {numbers["extrapolated_to_images"]:,} images, extrapolated; the target is '
                f'{numbers["target_minutes"]:.0f} min: {results}')
    return ''


def number_texts(numbers: dict, above: str = '') -> Iterator[Tuple[str, str]]:
    """Name and text of every number in nested dicts; bytes in GiB, seconds with their unit."""
    for name, value in numbers.items():
        path = f'{above}{name}'.replace('_', ' ')
        if isinstance(value, dict):
            yield from number_texts(value, f'{path}, ')
        elif name.endswith('_bytes'):
            yield path.removesuffix(' bytes'), f'{value / _GIB:.2f} GiB'
        elif isinstance(value, (list, tuple)):
            yield path, '; '.join(map(str, value)) or 'none'
        elif isinstance(value, float):
            yield path, f'{value:.4g}' if abs(value) < 1000 else f'{value:,.0f}'
        else:
            yield path, f'{value:,}' if isinstance(value, int) and not isinstance(value, bool) else str(value)


def _loader_chart(checks: Dict[str, dict]) -> str:
    rates = checks.get('loader', {}).get('numbers', {}).get('images_per_second', {})
    points: List[Tuple[float, float]] = [(int(workers), rate) for workers, rate in rates.items()]
    return line_chart({'images/s': points}, 'workers') if points else ''
