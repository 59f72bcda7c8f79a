# Procedural scenes, 160 px
_base_ = []
from mmseg_unsup.presets import scene_loaders
data_root = 'data/procedural_scenes'
n_clusters = 6
size = 160
train_dataloader, probe_dataloader, val_dataloader, test_dataloader = scene_loaders(
    'mmseg_unsup.ProceduralScenes', data_root, size, batch_size=16)
