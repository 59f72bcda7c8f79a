from .average_teacher import AverageTeacher
from .prototype_teacher import PrototypeTeacher
from .teacher import Teacher

__all__ = ['AverageTeacher', 'PrototypeTeacher', 'Teacher']
