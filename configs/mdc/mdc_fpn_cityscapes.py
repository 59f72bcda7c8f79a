# MDC on Cityscapes 27, protocol 'official_val', 320 px, 10 epochs
_base_ = ['../_base_/datasets/cityscapes27.py', '../_base_/mdc.py']
n_clusters = 27
train_dataloader = dict(dataset=dict(pipeline={{_base_.one_view_pipeline}}))
optim_wrapper = dict(optimizer=dict(lr=1e-3))
default_hooks = dict(initial_evaluation=dict(type='mmseg_unsup.InitialEvaluationHook'))
