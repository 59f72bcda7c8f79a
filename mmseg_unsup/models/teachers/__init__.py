from .prototype_teacher import PrototypeTeacher
from .teacher import Teacher

__all__ = ['PrototypeTeacher', 'Teacher']
