from .lateral_sum_neck import LateralSumNeck

__all__ = ['LateralSumNeck']
