# the training images of MSRC v2; masks by path
_base_ = './masked.py'
data_root, mask_root = 'data/msrc_v2', 'data/msrc_v2/masks/train'
train_dataloader = dict(
    num_workers=2,
    dataset=dict(dataset=dict(data_root=data_root, mask_root=mask_root, data_prefix=dict(img_path='images/train'))))
