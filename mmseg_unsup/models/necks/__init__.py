from .batch_dropout import BatchDropout
from .concept_decoder import ConceptDecoder
from .lateral_sum_neck import LateralSumNeck
from .plain_vit_pyramid import PlainViTPyramid
from .residual_projection import ResidualProjection

__all__ = ['BatchDropout', 'ConceptDecoder', 'LateralSumNeck', 'PlainViTPyramid', 'ResidualProjection']
