# protocol 'official_val', in which STEGO and later work score: train on train, score val (500 images), both on the
# centre square, 320 px; the other protocol is cityscapes27_released.py
_base_ = []
from mmseg_unsup.presets import scene_loaders
data_root = 'data/cityscapes'
n_clusters = 27
size = 320
train_dataloader, probe_dataloader, val_dataloader, test_dataloader = scene_loaders(
    'mmseg_unsup.Cityscapes27Dataset', data_root, size, batch_size=128,
    train=dict(data_prefix=dict(img_path='leftImg8bit'), splits=['train']),
    val=dict(data_prefix=dict(img_path='leftImg8bit', seg_map_path='gtFine'), splits=['val']))
