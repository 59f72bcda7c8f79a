# the same of a folder of images, of which there is nothing to score: a cluster map of each
_base_ = './features.py'
on_error = 'raise'  # 'skip' leaves out images that cannot be read
out = 'work_dirs/features_folder/cluster_maps'
val_evaluator = test_evaluator = dict(
    _delete_=True, type='mmseg_unsup.ClusterMaps', output_dir=out, root='data/images')
shortcuts = dict(
    data_root=['*_dataloader.**.data_root', '*_evaluator.root'],
    on_error=['*_dataloader.dataset.on_error'],
    out=['*_evaluator.output_dir'])
