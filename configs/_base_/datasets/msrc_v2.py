# MSRC v2, 160 px
_base_ = []
from mmseg_unsup.presets import scene_loaders
data_root = 'data/msrc_v2'
n_clusters = 21
size = 160
train_dataloader, probe_dataloader, val_dataloader, test_dataloader = scene_loaders(
    'mmseg_unsup.MSRCv2Dataset', data_root, size, batch_size=16)
