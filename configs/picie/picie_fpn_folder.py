# A folder of images, no labels: --cfg-options data_root=FOLDER n_clusters=K out=FOLDER_OF_MAPS
_base_ = ['../_base_/datasets/folder.py', '../_base_/picie.py']
n_clusters = 27
on_error = 'raise'  # 'skip' leaves out images that cannot be read
out = 'work_dirs/picie_fpn_folder/cluster_maps'
model = dict(test_cfg=dict(prototype_sets=['fresh']))
# there is nothing to score; the last epoch writes the maps
train_cfg = dict(val_interval=10)
val_evaluator = dict(_delete_=True, type='mmseg_unsup.ClusterMaps', output_dir=out, root='data/images')
test_evaluator = val_evaluator
shortcuts = dict(
    data_root=[
        'train_dataloader.dataset.dataset.data_root', 'probe_dataloader.dataset.dataset.data_root',
        'val_dataloader.dataset.data_root', 'test_dataloader.dataset.data_root', 'val_evaluator.root',
        'test_evaluator.root'
    ],
    on_error=[
        'train_dataloader.dataset.on_error', 'probe_dataloader.dataset.on_error', 'val_dataloader.dataset.on_error',
        'test_dataloader.dataset.on_error'
    ],
    out=['val_evaluator.output_dir', 'test_evaluator.output_dir'])
