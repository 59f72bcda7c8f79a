# A folder of images and one of masks: --cfg-options data_root=FOLDER mask_root=MASKS n_clusters=K out=FOLDER_OF_MAPS
_base_ = [
    '../_base_/models/maskcontrast_deeplabv3_r50.py',
    '../_base_/datasets/masked.py',
    '../_base_/maskcontrast.py'
]
on_error = 'raise'  # 'skip' leaves out images that cannot be read
out = 'work_dirs/maskcontrast_deeplabv3_folder/cluster_maps'
eval_size = 280  # crops show an image at 1.25 times the size of a view, on average
# An image of the folder keeps the mask that it was trained with; the network finds the objects of others. A folder may
# give a few hundred steps: the key branch must move within them, and saliency weigh as much as the contrast.
model = dict(
    queue_length=64,
    momentum=0.05,
    loss_saliency=dict(loss_weight=4.),
    test_cfg=dict(pool='mean', masks=dict(data_root='data/images', mask_root='data/masks')))
train_dataloader = dict(batch_size=16)
optim_wrapper = dict(
    optimizer=dict(_delete_=True, type='AdamW', lr=1e-4, weight_decay=1e-4),
    paramwise_cfg=dict(custom_keys=dict(decode_head=dict(lr_mult=10))))  # it starts from random weights
val_dataloader = test_dataloader = dict(dataset=dict(on_error=on_error))
# there is nothing to score; the last epoch writes the maps
train_cfg = dict(val_interval=40)
val_evaluator = test_evaluator = dict(
    _delete_=True, type='mmseg_unsup.ClusterMaps', output_dir=out, root='data/images')
shortcuts = dict(
    data_root=['*_dataloader.**.data_root', '*_evaluator.root', 'model.test_cfg.masks.data_root'],
    mask_root=['train_dataloader.**.mask_root', 'model.test_cfg.masks.mask_root'],
    on_error=['*_dataloader.dataset.on_error'],
    out=['*_evaluator.output_dir'])
