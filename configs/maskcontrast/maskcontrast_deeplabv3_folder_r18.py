# the same on ResNet-18, 128 px, 20 epochs: for machines without a GPU
_base_ = './maskcontrast_deeplabv3_folder.py'
init = 'torchvision://resnet18'
size, eval_size = 128, 160
model = dict(
    backbone=dict(depth=18, strides=(1, 2, 2, 1), dilations=(1, 1, 1, 2), init_cfg=dict(checkpoint=init)),
    decode_head=dict(in_channels=512, channels=128, dilations=(3, 6, 9)))
train_cfg = dict(max_epochs=20, val_interval=20)
