# MDC on COCO-Stuff 27, 320 px, 10 epochs
_base_ = ['../_base_/datasets/coco_stuff27.py', '../_base_/mdc.py']
n_clusters = 27
train_dataloader = dict(dataset=dict(pipeline={{_base_.one_view_pipeline}}))
default_hooks = dict(initial_evaluation=dict(type='mmseg_unsup.InitialEvaluationHook'))
