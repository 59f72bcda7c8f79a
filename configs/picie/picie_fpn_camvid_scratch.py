# CamVid from nothing but images: random weights, no ImageNet, no labels
_base_ = './picie_fpn_camvid.py'
init = None
model = dict(backbone=dict(init_cfg=dict(checkpoint=init)))
