# the same with a linear probe along the way
_base_ = ['./stego_r18_camvid.py', '../_base_/linear_probe.py']
from mmseg_unsup.presets import labelled_probe_loader
labelled_probe_dataloader = labelled_probe_loader(
    dict(
        type='mmseg_unsup.CamVidDataset',
        data_root={{_base_.data_root}},
        data_prefix=dict(img_path='images/train', seg_map_path='labels/train')),
    {{_base_.size}},
    batch_size=16)
