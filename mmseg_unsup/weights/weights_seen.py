"""What labels weights have seen on their way: said in logs, in checkpoints and in tables."""
from typing import Optional

NOTHING, UNKNOWN = 'none', 'unknown'
# collections of supervised ImageNet weights
_IMAGENET_SCHEMES = ('torchvision://', 'modelzoo://', 'open-mmlab://resnet',
                     'https://dl.fbaipublicfiles.com/convnext/convnext_tiny_1k')
# self-supervised ones: MoCo, DINO, DINOv2, MAE
_UNLABELLED = tuple(f'https://dl.fbaipublicfiles.com/{path}/'
                    for path in ('moco/moco_checkpoints', 'dino', 'dinov2', 'mae/pretrain'))


def weights_seen(source: str, meta: Optional[dict] = None) -> str:
    """Labels that the weights of a file have seen: ``'none'``, ``'ImageNet labels'``, others by name, ``'unknown'``.

    Args:
        source: path or URL of the file.
        meta: its ``meta``, in which runs of this package write ``weights_seen``.
    """
    recorded = (meta or {}).get('weights_seen')
    if recorded:
        return recorded
    if source.startswith(_UNLABELLED):
        return NOTHING
    return 'ImageNet labels' if source.startswith(_IMAGENET_SCHEMES) else UNKNOWN


def stated_labels(statement: str) -> str:
    """``'ImageNet'`` of a config or a command line, which would lose a space, -> ``'ImageNet labels'``."""
    statement = statement.strip().removesuffix('labels').strip()
    return statement if statement in (NOTHING, UNKNOWN) else f'{statement} labels'


def add_labels(seen: str, labels: str) -> str:
    """``seen`` after training with further labels."""
    if seen == NOTHING:
        return labels
    return seen if labels in seen.split(', ') else f'{seen}, {labels}'
