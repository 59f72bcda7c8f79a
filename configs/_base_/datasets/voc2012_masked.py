# VOC 2012 trainaug with masks of the same names, JPEGImages/2007_000032.jpg and MASKS/2007_000032.png
_base_ = './masked.py'
data_root, mask_root = 'data/VOCdevkit/VOC2012', 'data/VOCdevkit/VOC2012/masks'
train_dataloader = dict(
    dataset=dict(
        dataset=dict(
            data_root=data_root,
            mask_root=mask_root,
            data_prefix=dict(img_path='JPEGImages'),
            ann_file='ImageSets/Segmentation/trainaug.txt')))
