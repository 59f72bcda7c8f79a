# A folder of images, no labels: --cfg-options data_root=FOLDER n_clusters=K out=FOLDER_OF_MAPS
_base_ = ['../_base_/datasets/folder.py', '../_base_/picie.py']
n_clusters = 27
on_error = 'raise'  # 'skip' leaves out images that cannot be read
out = 'work_dirs/picie_fpn_folder/cluster_maps'
size = 320  # pixels that the network sees of a shorter side
reduce_to = 640  # at which JPEGs are decoded: the smallest crop is half the frame
blur = (0.05, 1.0)  # sigma in pixels
model = dict(test_cfg=dict(cluster_sets=['fresh']))
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
    out=['val_evaluator.output_dir', 'test_evaluator.output_dir'],
    size=[
        'train_dataloader.dataset.pipeline.3.size', 'probe_dataloader.dataset.pipeline.1.size',
        'val_dataloader.dataset.pipeline.1.size', 'test_dataloader.dataset.pipeline.1.size'
    ],
    reduce_to=['train_dataloader.dataset.pipeline.0.reduce_to'],
    blur=['train_dataloader.dataset.pipeline.4.transforms.2.sigma'])
