# A folder of images and one of masks: --cfg-options data_root=FOLDER mask_root=MASKS
_base_ = [
    '../_base_/models/maskcontrast_deeplabv3_r50.py',
    '../_base_/datasets/masked.py',
    '../_base_/maskcontrast.py'
]
model = dict(queue_length=64)
