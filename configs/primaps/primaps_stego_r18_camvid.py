# PriMaPs-EM on the codes of a run of configs/stego/stego_r18_camvid.py, whose prototypes it goes on from; masks are made
# of the features below the codes. load_from: a checkpoint of that run
_base_ = '../stego/stego_r18_camvid.py'
from mmseg_unsup.presets import changed_view_pipeline
size = 160
load_from = 'work_dirs/stego_r18_camvid/epoch_40.pth'
model = dict(
    type='mmseg_unsup.PriMaPs',
    mask_index=0,
    decode_head=dict(
        clusters=dict(
            cluster=dict(
                _delete_=True,
                type='mmseg_unsup.AveragedSet',
                of=dict(type='mmseg_unsup.WeightNormSet'),
                momentum=0.02,
                interval=10,
                ramp=True))))
train_dataloader = dict(
    drop_last=True, dataset=dict(type='mmseg_unsup.ViewDataset', pipeline=changed_view_pipeline(size)))
optim_wrapper = dict(_delete_=True, type='OptimWrapper', optimizer=dict(type='Adam', lr=5e-3))
default_hooks = dict(
    neighbours=None,
    masks=dict(type='mmseg_unsup.PrincipalMaskHook', threshold=0.4, enlarge=4),
    prototypes=dict(type='mmseg_unsup.PrincipalStartHook', epochs=0))
train_cfg = dict(max_epochs=10, val_interval=10)
