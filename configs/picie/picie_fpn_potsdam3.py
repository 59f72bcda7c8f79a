# Potsdam-3, 320 px, 10 epochs
_base_ = ['../_base_/datasets/potsdam3.py', '../_base_/picie.py']
n_clusters = 3
model = dict(decode_head=dict(n_clusters=n_clusters))
default_hooks = dict(
    fresh_kmeans=dict(n_clusters=n_clusters), initial_evaluation=dict(type='mmseg_unsup.InitialEvaluationHook'))
