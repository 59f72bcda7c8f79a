# tiles of 512 px: crops of 256 to 512 px become views of 320 px, and a tile is scored whole, at 320 px (8 cm a pixel)
_base_ = []
from mmseg_unsup.presets import scene_loaders
data_root = 'data/potsdam'
n_clusters = 3
size = 320
train_dataloader, probe_dataloader, val_dataloader, test_dataloader = scene_loaders(
    'mmseg_unsup.Potsdam3Dataset', data_root, size, batch_size=128,
    train=dict(data_prefix=dict(img_path='img_dir/train')),
    val=dict(data_prefix=dict(img_path='img_dir/val', seg_map_path='ann_dir/val')))
