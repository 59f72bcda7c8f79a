# what a converted checkpoint of a released method predicts: a cluster map of each image of a folder. Backbone, neck and
# sizes are those of STEGO with a ViT-S/8; mmseg-unsup convert-released writes those of the checkpoint in their place
_base_ = ['./datasets/folder.py', './runtime.py']
from mmseg_unsup.presets import image_preprocessor
train_dataloader = probe_dataloader = None  # nothing trains
on_error = 'raise'  # 'skip' leaves out images that cannot be read
out = 'work_dirs/released/cluster_maps'
model = dict(
    type='mmseg_unsup.ReleasedSegmentor',
    data_preprocessor=image_preprocessor(),
    backbone=dict(
        type='mmseg_unsup.FrozenBackbone',
        backbone=dict(type='mmseg_unsup.DINOViT', family='dino', arch='small', patch_size=8),
        out=['tokens'],
        keep_in_checkpoint=True),
    neck=dict(type='mmseg_unsup.ResidualProjection', in_channels=384, out_channels=70),
    decode_head=dict(
        type='mmseg_unsup.ClusterHead',
        in_channels=70,
        n_clusters=27,
        clusters=dict(cluster=dict(type='mmseg_unsup.CosineClusterSet'))),
    test_cfg=dict(mode='whole', cluster_sets=['cluster'], flip=False, enlarge='scores', refine=None))
default_hooks = dict(  # no PrecisionHook: scores of papers are of float32
    check_data=dict(type='mmseg_unsup.CheckDataHook'),
    initialization=dict(type='mmseg_unsup.InitializationHook'),
    unreadable_images=dict(type='mmseg_unsup.UnreadableImagesHook'),
    phase_timer=dict(type='mmseg_unsup.PhaseTimerHook'))
log_processor = dict(by_epoch=True)
val_cfg = dict()
test_cfg = dict()
val_evaluator = test_evaluator = dict(type='mmseg_unsup.ClusterMaps', output_dir=out, root='data/images')
shortcuts = dict(
    data_root=['*_dataloader.**.data_root', '*_evaluator.root'],
    size=['*_dataloader.**.ResizeForEvaluation.size'],
    on_error=['*_dataloader.dataset.on_error'],
    out=['*_evaluator.output_dir'])
