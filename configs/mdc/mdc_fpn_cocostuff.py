# MDC on COCO-Stuff 27, 320 px, 10 epochs
_base_ = ['../_base_/datasets/coco_stuff27.py', '../_base_/mdc.py']
from mmseg_unsup.presets import view_pipeline
model = dict(decode_head=dict(n_clusters={{_base_.n_clusters}}))
train_dataloader = dict(dataset=dict(pipeline=view_pipeline(320, num_views=1)))
