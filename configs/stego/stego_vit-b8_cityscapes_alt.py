# the same with the other constants that the released code has for Cityscapes
_base_ = './stego_vit-b8_cityscapes.py'
model = dict(intra=(0.46, 0.25), inter=(0.18, 0.20), negative=(0.72, 0.25))
