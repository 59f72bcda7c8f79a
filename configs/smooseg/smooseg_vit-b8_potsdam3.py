# SmooSeg on Potsdam-3 with the released constants: ViT-B/8, whole tiles, trained and scored at 224 px
_base_ = ['../_base_/datasets/potsdam3.py', '../_base_/smooseg_vit-s8.py']
from mmseg_unsup.presets import probe_pipeline
init = 'https://dl.fbaipublicfiles.com/dino/dino_vitbase8_pretrain/dino_vitbase8_pretrain.pth'
size = 224
model = dict(
    intra_shift=0.1,
    negative_shift=0.5,
    backbone=dict(
        backbone=dict(arch='base', init_cfg=dict(type='mmseg_unsup.PretrainedBackbone', checkpoint=init))),
    neck=dict(in_channels=768),
    decode_head=dict(n_clusters={{_base_.n_clusters}}))
train_dataloader = dict(batch_size=32, drop_last=True, dataset=dict(pipeline=probe_pipeline(size)))
train_cfg = dict(max_epochs=50, val_interval=50)
