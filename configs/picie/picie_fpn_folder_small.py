# the same at 160 px, 5 epochs: for machines without a GPU
_base_ = './picie_fpn_folder.py'
size, reduce_to, blur = 160, 320, (0.025, 0.5)
train_cfg = dict(max_epochs=5, val_interval=5)
