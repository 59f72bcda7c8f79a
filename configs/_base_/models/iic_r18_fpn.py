# classifiers: five of K clusters, of which the best predicts, and as many of three times K that only train
_base_ = './r18_fpn.py'
model = dict(
    type='mmseg_unsup.IIC',
    decode_head=dict(type='mmseg_unsup.ClusterHead', in_channels=128),
    num_sub_heads=5,
    over_clustering=[('3x', 1.)],
    max_displacement=2,
    test_cfg=dict(cluster_sets=['fresh', 'classifier']))
