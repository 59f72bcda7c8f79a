# A folder of images, no labels: --cfg-options data_root=FOLDER n_clusters=K out=FOLDER_OF_MAPS
_base_ = ['../_base_/datasets/folder.py', '../_base_/models/picie_r18_fpn.py', '../_base_/clustering.py']
on_error = 'raise'  # 'skip' leaves out images that cannot be read
out = 'work_dirs/picie_fpn_folder/cluster_maps'
reduce_to = 640  # pixels at which JPEGs are decoded: the smallest crop is half the frame
blur = (0.05, 1.0)  # sigma in pixels
model = dict(decode_head=dict(n_clusters={{_base_.n_clusters}}), test_cfg=dict(cluster_sets=['fresh']))
# there is nothing to score; the last epoch writes the maps
train_cfg = dict(val_interval=10)
val_evaluator = test_evaluator = dict(type='mmseg_unsup.ClusterMaps', output_dir=out, root='data/images')
shortcuts = dict(
    data_root=['*_dataloader.**.data_root', '*_evaluator.root'],
    on_error=['*_dataloader.dataset.on_error'],
    out=['*_evaluator.output_dir'],
    reduce_to=['train_dataloader.**.LoadImage.reduce_to'],
    blur=['train_dataloader.**.GaussianBlur.sigma'])
