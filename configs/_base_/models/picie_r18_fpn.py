# prototypes of two views; besides K clusters, levels of 2 K and 4 K that only train
_base_ = './r18_fpn.py'
model = dict(
    type='mmseg_unsup.PiCIE',
    neck=dict(position='consistent'),
    decode_head=dict(type='mmseg_unsup.ClusterHead', in_channels=128),
    target_generator=dict(type='mmseg_unsup.PrototypeTeacher', epochs=4),
    over_clustering=[('2x', 1.), ('4x', 1.)],
    temperature=0.1,
    test_cfg=dict(cluster_sets=['fresh', 'view1', 'view2']))
