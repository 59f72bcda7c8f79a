# A folder of images, no labels, nothing trains: clusters of a frozen ResNet-18 (mmseg-unsup segment --method features)
_base_ = ['../_base_/datasets/folder.py', '../_base_/models/features_r18.py', '../_base_/features.py']
on_error = 'raise'  # 'skip' leaves out images that cannot be read
out = 'work_dirs/features_r18_folder/cluster_maps'
model = dict(decode_head=dict(n_clusters={{_base_.n_clusters}}))
train_dataloader = None
val_evaluator = test_evaluator = dict(
    _delete_=True, type='mmseg_unsup.ClusterMaps', output_dir=out, root='data/images')
shortcuts = dict(
    data_root=['*_dataloader.**.data_root', '*_evaluator.root'],
    on_error=['*_dataloader.dataset.on_error'],
    out=['*_evaluator.output_dir'])
