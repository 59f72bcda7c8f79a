# any folder of images, 320 px: trains on all of them and writes a cluster map of each
_base_ = []
from mmseg_unsup.presets import eval_pipeline, loader, probe_pipeline, view_loader, view_pipeline
data_root = 'data/images'
n_clusters = 27
size = 320
train_dataloader = view_loader(
    dict(type='mmseg_unsup.UnlabelledFolder', data_root=data_root), view_pipeline(size), batch_size=16)
probe_dataloader = view_loader(
    dict(type='mmseg_unsup.UnlabelledFolder', data_root=data_root), probe_pipeline(size), batch_size=16)
val_dataloader = test_dataloader = loader(  # one by one, as the images may differ in size
    dict(
        type='mmseg_unsup.UnlabelledFolder',
        data_root=data_root,
        on_error='raise',
        pipeline=eval_pipeline(size, 'full_resolution', labels=False)),
    batch_size=1)
