# the same with a linear probe along the way, on labels that STEGO does not see
_base_ = './stego_r18_camvid.py'
from mmseg_unsup.presets import labelled_probe_loader, scores_of
labelled_probe_dataloader = labelled_probe_loader(
    dict(
        type='mmseg_unsup.CamVidDataset',
        data_root={{_base_.data_root}},
        data_prefix=dict(img_path='images/train', seg_map_path='labels/train')),
    {{_base_.size}},
    batch_size=16)
default_hooks = dict(linear_probe=dict(type='mmseg_unsup.LinearProbeHook'))
val_evaluator = test_evaluator = [
    dict(type='mmseg_unsup.ClusterIoUMetric', prediction='cluster'),
    scores_of('fresh'),
    scores_of('linear', match='identity')
]
