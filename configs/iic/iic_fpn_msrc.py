# IIC on MSRC v2, 160 px, 5 epochs
_base_ = ['../_base_/datasets/msrc_v2.py', '../_base_/iic.py']
n_clusters = 21
model = dict(decode_head=dict(n_clusters=n_clusters))
default_hooks = dict(
    fresh_kmeans=dict(n_clusters=n_clusters), initial_evaluation=dict(type='mmseg_unsup.InitialEvaluationHook'))
train_cfg = dict(max_epochs=5)
