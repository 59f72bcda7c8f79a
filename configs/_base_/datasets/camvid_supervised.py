# CamVid with labels, 160 px: trained on crops of half to all of the height, scored on centre squares as pre-training is
_base_ = []
from mmseg_unsup.presets import eval_pipeline, loader, supervised_loader
data_root = 'data/camvid'
train_dataloader = supervised_loader(
    dict(
        type='mmseg_unsup.CamVidDataset',
        data_root=data_root,
        data_prefix=dict(img_path='images/train', seg_map_path='labels/train'),
        ann_file=''),
    size=160)
val_dataloader = test_dataloader = loader(
    dict(
        type='mmseg_unsup.CamVidDataset',
        data_root=data_root,
        data_prefix=dict(img_path='images/val', seg_map_path='labels/val'),
        pipeline=eval_pipeline(160)),
    batch_size=16,
    num_workers=2)
val_evaluator = test_evaluator = dict(type='IoUMetric', iou_metrics=['mIoU'])
