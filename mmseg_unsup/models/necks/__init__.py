from .lateral_sum_neck import LateralSumNeck
from .plain_vit_pyramid import PlainViTPyramid

__all__ = ['LateralSumNeck', 'PlainViTPyramid']
