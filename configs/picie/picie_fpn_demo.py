# Procedural scenes, random initial weights: no download, a few minutes on two CPU cores (`make demo`)
_base_ = [
    '../_base_/datasets/procedural_scenes.py', '../_base_/models/picie_r18_fpn.py',
    '../_base_/schedules/adam_10e.py', '../_base_/picie_runtime.py'
]
n_clusters = 6
work_dir = 'work_dirs/picie_fpn_demo'
model = dict(backbone=dict(init_cfg=None), decode_head=dict(n_clusters=n_clusters))
default_hooks = dict(
    fresh_kmeans=dict(n_clusters=n_clusters), contact_sheet=dict(type='mmseg_unsup.ContactSheetHook'))
shortcuts = dict(init=[])  # nothing to load
train_cfg = dict(max_epochs=5, val_interval=5)
