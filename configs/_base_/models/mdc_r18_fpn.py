# prototypes of one view that give the labels, a linear layer that learns them
_base_ = './r18_fpn.py'
model = dict(
    type='mmseg_unsup.MDC',
    decode_head=dict(type='mmseg_unsup.ClusterHead', in_channels=128),
    target_generator=dict(type='mmseg_unsup.PrototypeTeacher', epochs=None),
    classifier='learnable',
    test_cfg=dict(cluster_sets=['fresh', 'view1']))
