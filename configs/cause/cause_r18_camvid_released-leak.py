# The third step of the released code, for comparison: TRAINS ON LABELS. Goes on from a checkpoint of
# cause_r18_camvid.py: --cfg-options load_from=work_dirs/cause_r18_camvid/epoch_20.pth
_base_ = './cause_r18_camvid.py'
from mmseg_unsup.presets import labelled_probe_loader
model = dict(released_leak=True)
train_dataloader = dict(_delete_=True, **labelled_probe_loader(
    dict(
        type='mmseg_unsup.CamVidDataset',
        data_root={{_base_.data_root}},
        data_prefix=dict(img_path='images/train', seg_map_path='labels/train')),
    160, batch_size=16))
train_cfg = dict(max_epochs=1, val_interval=1)
