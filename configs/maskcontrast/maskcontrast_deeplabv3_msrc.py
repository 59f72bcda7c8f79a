# MSRC v2, ResNet-18, 128 px, 80 epochs: small enough for two CPU cores
_base_ = [
    '../_base_/models/maskcontrast_deeplabv3_r18.py',
    '../_base_/datasets/msrc_v2_masked.py',
    '../_base_/maskcontrast.py'
]
size, eval_size = 128, 192
model = dict(queue_length=64, momentum=0.01)  # 880 steps; the average of the paper holds about a third of a run
train_dataloader = dict(batch_size=32)
optim_wrapper = dict(optimizer=dict(lr=0.02))  # few steps
train_cfg = dict(max_epochs=80)
