# The released code on MSRC v2: half its image sizes and small batches, everything else as released
_base_ = ['../_base_/datasets/msrc_v2.py', '../_base_/picie_parity.py']
n_clusters = 21
train_dataloader = dict(dataset=dict(pipeline={{_base_.released_view_pipeline}}))
model = dict(decode_head=dict(n_clusters=n_clusters))
default_hooks = dict(
    clustering=dict(init_images=192, update_images=32),
    fresh_kmeans=dict(n_clusters=n_clusters, init_images=192, update_images=32),
    initial_evaluation=dict(type='mmseg_unsup.InitialEvaluationHook'))
train_cfg = dict(max_epochs=5)
