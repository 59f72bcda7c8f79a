# IIC on Cityscapes 27, protocol 'official_val', 320 px, 10 epochs
_base_ = ['../_base_/datasets/cityscapes27.py', '../_base_/iic.py']
n_clusters = 27
optim_wrapper = dict(optimizer=dict(lr=1e-3))
default_hooks = dict(initial_evaluation=dict(type='mmseg_unsup.InitialEvaluationHook'))
