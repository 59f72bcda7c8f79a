"""Copies of what trains, and the labels that they give."""
from types import SimpleNamespace

import torch
from torch import nn

from mmseg_unsup.models import ClusterHead
from mmseg_unsup.models.teachers import PrototypeTeacher, Teacher


class Student(nn.Module):

    def __init__(self, seed=0):
        super().__init__()
        torch.manual_seed(seed)
        self.backbone = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4))
        self.backbone(torch.randn(2, 3, 8, 8))  # running statistics of its own
        self.neck = nn.Conv2d(4, 2, 1)

    def forward(self, images):
        return self.neck(self.backbone(images))


def test_copy_is_apart_from_the_student():
    student = Student()
    teacher = Teacher(student)
    images = torch.randn(1, 3, 8, 8)
    before = teacher.extract(images)
    assert torch.equal(before, student.eval()(images))
    with torch.no_grad():
        student.neck.weight.add_(1)
    assert torch.equal(teacher.extract(images), before)
    teacher.copy(student)
    assert torch.equal(teacher.extract(images), student(images)) and not torch.equal(teacher.extract(images), before)


def test_average_by_hand():
    teacher, student = Teacher(Student(0)), Student(1)
    before = {key: value.clone() for key, value in teacher.state_dict().items()}
    for _ in range(3):
        teacher.average(student, momentum=0.25)
    after = teacher.state_dict()
    assert after.keys() == student.state_dict().keys()
    for name, value in student.state_dict().items():
        if value.is_floating_point():
            torch.testing.assert_close(after[name], 0.75**3 * before[name] + (1 - 0.75**3) * value)
        else:
            assert torch.equal(after[name], value)


def test_the_average_is_the_same_to_the_bit_as_tensor_by_tensor():
    teacher, student = Teacher(Student(0)), Student(1)
    expected = {key: value.clone() for key, value in teacher.state_dict().items()}
    for momentum in (1e-4, 0.3, 0.7, 1.):
        teacher.average(student, momentum)
        for key, value in student.state_dict().items():
            expected[key] = torch.lerp(expected[key], value, momentum) if value.is_floating_point() else value
        assert all(torch.equal(value, expected[key]) for key, value in teacher.state_dict().items())


def test_frozen_and_missing_parts():
    """What never changes is the student's own, and is in no state dict twice; what is missing is left out."""
    student = Student().eval()
    student.backbone.is_frozen, student.head = True, None
    teacher, images = Teacher(student, ('backbone', 'neck', 'head')), torch.randn(1, 3, 8, 8)
    assert teacher.parts == ['backbone', 'neck'] and {*teacher.state_dict()} == {'neck.weight', 'neck.bias'}
    assert torch.equal(teacher.extract(images), student(images))


def test_labels_are_those_of_the_nearest_prototype_of_the_own_view():
    student = Student()
    student.neck, student.decode_head = None, ClusterHead(in_channels=4, n_clusters=3, in_index=0)
    student.backbone = nn.Sequential(nn.Conv2d(3, 4, 1), nn.Unflatten(0, (1, -1)))  # a tuple of one map
    teacher = PrototypeTeacher(student, num_views=2, over_clustering=[(5, 1.)])
    sets = [of_view for level in teacher.levels for of_view in level.sets]
    assert [*student.decode_head.clusters] == ['fresh', 'view1', 'view2', 'over1_view1', 'over1_view2']
    assert [*student.decode_head.clusters.values()][1:] == sets
    assert [level.share for level in teacher.levels] == [.5, .5]
    for of_view in sets:
        of_view.fit(torch.randn(of_view.n_clusters, 4), torch.rand(of_view.n_clusters))
    views, whole = list(torch.randn(2, 2, 3, 4, 4)), SimpleNamespace(crop_box=(0., 0., 1., 1.), flip=False)
    labels = teacher(views, [whole] * 2)
    for level, of_level in zip(teacher.levels, labels):
        assert level.prototypes.shape == (2, level.sets[0].n_clusters, 4)
        assert torch.equal(level.class_weights[1], level.sets[1].class_weights)
        for prototypes, images, of_view in zip(level.prototypes, views, of_level):
            feats = nn.functional.normalize(student.backbone[0](images), dim=1)
            distances = (feats[:, None] - prototypes[None, :, :, None, None]).square().sum(2)
            assert torch.equal(of_view, distances.argmin(1))
