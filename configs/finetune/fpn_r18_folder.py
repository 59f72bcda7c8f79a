# Semantic FPN with the neck of the pre-training on the labelled images of any folder:
#   --cfg-options data_root=FOLDER labels=LABELLED classes=[sky,road] init=PATH
# The label map of FOLDER/a/b.jpg is LABELLED/a/b.png. The test scores the images that have one, so give it others.
_base_ = [
    '../_base_/models/fpn_r18.py', '../_base_/schedules/supervised_300.py', '../_base_/supervised_runtime.py'
]
from mmseg_unsup.presets import eval_pipeline, loader, supervised_loader
data_root = 'data/images'
labels = 'data/labels'
classes = ['thing', 'ground']
init = 'work_dirs/picie_fpn_folder/epoch_10.pth'
model = dict(
    data_preprocessor=dict(size=(320, 320)),
    neck=dict(init_cfg=dict(checkpoint=init)),
    decode_head=dict(num_classes=2))
train_dataloader = supervised_loader(
    dict(
        type='mmseg_unsup.LabelledFolder',
        data_root=data_root,
        labels=labels,
        metainfo=dict(classes=classes),
        ann_file=''),
    size=320)
train_cfg = dict(val_interval=301)
val_cfg = None  # what is held out of a few labelled images would be missed
test_dataloader = loader(
    dict(train_dataloader['dataset'], pipeline=eval_pipeline(320, 'full_resolution')), batch_size=1, num_workers=2)
test_evaluator = dict(type='IoUMetric', iou_metrics=['mIoU'])
default_hooks = dict(initialization={{_base_.initialization_hook}})
shortcuts = dict(
    labels=['*_dataloader.dataset.labels'],
    classes=['*_dataloader.dataset.metainfo.classes', 'len(model.*_head.num_classes)'])
