# MDC on Cityscapes 27, protocol 'official_val', 320 px, 10 epochs
_base_ = ['../_base_/datasets/cityscapes27.py', '../_base_/mdc.py']
from mmseg_unsup.presets import view_pipeline
model = dict(decode_head=dict(n_clusters={{_base_.n_clusters}}))
train_dataloader = dict(dataset=dict(pipeline=view_pipeline(320, num_views=1)))
optim_wrapper = dict(optimizer=dict(lr=1e-3))
