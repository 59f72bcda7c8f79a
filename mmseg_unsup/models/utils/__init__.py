from .prototype_queue import PrototypeQueue, gather_prototypes

__all__ = ['PrototypeQueue', 'gather_prototypes']
