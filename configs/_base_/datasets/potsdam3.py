# tiles of 512 px: crops of 256 to 512 px become views of 320 px, and a tile is scored whole, at 320 px (8 cm a pixel)
_base_ = './labelled_320.py'
data_root = 'data/potsdam'
train_images = dict(
    type='mmseg_unsup.Potsdam3Dataset', data_root=data_root, data_prefix=dict(img_path='img_dir/train'))
val_images = dict(
    type='mmseg_unsup.Potsdam3Dataset',
    data_root=data_root,
    data_prefix=dict(img_path='img_dir/val', seg_map_path='ann_dir/val'))
train_dataloader = dict(dataset=dict(dataset=train_images))
probe_dataloader = dict(dataset=dict(dataset=train_images))
val_dataloader = dict(dataset=val_images)
test_dataloader = dict(dataset=val_images)
