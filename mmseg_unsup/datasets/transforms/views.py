"""Several views of one image: ``results['views']`` is a list of dicts, each with an ``img`` of its own."""
from typing import List, Optional, Sequence

from mmcv.transforms import BaseTransform
from mmengine.dataset import Compose

from ...registry import TRANSFORMS
from ...utils.checks import check_count


@TRANSFORMS.register_module()
class MakeViews(BaseTransform):
    """Start ``num_views`` views from the loaded image."""
    makes_views = True  # takes num_views

    def __init__(self, num_views: int = 2) -> None:
        check_count('num_views', num_views)
        self.num_views = num_views

    def transform(self, results: dict) -> dict:
        results['views'] = [dict(img=results['img']) for _ in range(self.num_views)]
        return results


@TRANSFORMS.register_module()
class ForEachView(BaseTransform):
    """Apply transforms to every view, with independent draws.

    Args:
        views: numbers of the views that are changed, from 0; None for all.
    """

    def __init__(self, transforms: List[dict], views: Optional[Sequence[int]] = None) -> None:
        self.transforms, self.views = Compose(transforms), views

    def transform(self, results: dict) -> dict:
        results['views'] = [self.transforms(view) if self.views is None or v in self.views else view
                            for v, view in enumerate(results['views'])]
        return results
