from .labeller import Labeller
from .prototype_queue import PrototypeQueue, gather_prototypes

__all__ = ['Labeller', 'PrototypeQueue', 'gather_prototypes']
