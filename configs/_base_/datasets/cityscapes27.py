# protocol 'official_val', in which STEGO and later work score: train on train, score val (500 images), both on the
# centre square; the other protocol is cityscapes27_released.py
_base_ = './labelled_320.py'
data_root = 'data/cityscapes'
train_images = dict(
    type='mmseg_unsup.Cityscapes27Dataset',
    data_root=data_root,
    data_prefix=dict(img_path='leftImg8bit'),
    splits=['train'])
val_images = dict(
    type='mmseg_unsup.Cityscapes27Dataset',
    data_root=data_root,
    data_prefix=dict(img_path='leftImg8bit', seg_map_path='gtFine'),
    splits=['val'])
train_dataloader = dict(dataset=dict(dataset=train_images))
probe_dataloader = dict(dataset=dict(dataset=train_images))
val_dataloader = dict(dataset=val_images)
test_dataloader = dict(dataset=val_images)
