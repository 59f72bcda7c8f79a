"""Configs of earlier versions say the same as present ones."""
import pytest

from mmseg_unsup.utils.old_names import present_config

PROTOTYPES = dict(type='mmseg_unsup.PrototypeHead', in_channels=128, n_clusters=27)
CLASSIFIERS = dict(type='mmseg_unsup.SoftClusterHead', in_channels=128, n_clusters=27, num_views=2)
HEAD = dict(type='mmseg_unsup.ClusterHead', in_channels=128, n_clusters=27)
TEACHER = dict(type='mmseg_unsup.TeacherHook')


def labels_of(epochs) -> dict:
    return dict(type='mmseg_unsup.PrototypeTeacher', epochs=epochs)


@pytest.mark.parametrize('old, present', [
    (dict(type='PiCIE', decode_head=dict(PROTOTYPES, num_views=2, distance='dot'), labeller_epochs=4,
          over_clustering=[('2x', 1.)], test_cfg=dict(prototype_sets=['fresh', 'view1'])),
     dict(type='PiCIE', decode_head=dict(HEAD, distance='dot'), target_generator=labels_of(4),
          over_clustering=[('2x', 1.)], test_cfg=dict(cluster_sets=['fresh', 'view1']))),
    (dict(type='MDC', decode_head=dict(PROTOTYPES, num_views=1), labeller_epochs=None, classifier='learnable'),
     dict(type='MDC', decode_head=HEAD, target_generator=labels_of(None), classifier='learnable')),
    (dict(type='IIC', decode_head=dict(CLASSIFIERS, num_sub_heads=5, momentum=0.1), over_clustering='3x'),
     dict(type='IIC', decode_head=HEAD, num_sub_heads=5, momentum=0.1, over_clustering=[('3x', 1.)])),
    (dict(type='IIC', decode_head=CLASSIFIERS, over_clustering=81),
     dict(type='IIC', decode_head=HEAD, over_clustering=[(81, 1.)])),
    (dict(type='IIC', decode_head=CLASSIFIERS, over_clustering=None),
     dict(type='IIC', decode_head=HEAD, over_clustering=[])),
    (dict(type='MaskContrast', decode_head=dict(type='mmseg_unsup.EmbeddingHead'), momentum=0.001),
     dict(type='MaskContrast', decode_head=dict(type='mmseg_unsup.EmbeddingHead'), momentum=0.001)),
])
def test_models(old, present):
    assert present_config(dict(model=old)) == dict(model=present)
    assert present_config(dict(model=present)) == dict(model=present)  # what is present stays


def test_metrics_and_hooks():
    metrics = [dict(prototype_set='fresh'), dict(prediction='view1')]
    old = dict(val_evaluator=metrics, test_evaluator=dict(prototype_set='x', group_definition='legacy_partition'),
               default_hooks=dict(momentum_update=dict(type='mmseg_unsup.MomentumUpdateHook')))
    assert present_config(old) == dict(
        val_evaluator=[dict(prediction='fresh'), dict(prediction='view1')],
        test_evaluator=dict(prediction='x', type='mmseg_unsup.ReleasedGroupsIoUMetric'),
        default_hooks=dict(teacher=TEACHER))
    clustered = dict(default_hooks=dict(clustering=dict(init_images=1)))  # had moved the labeller, too
    assert present_config(clustered)['default_hooks'] == dict(clustering=dict(init_images=1), teacher=TEACHER)
    assert present_config(dict(default_hooks=dict(timer=None)))['default_hooks'] == dict(timer=None)
