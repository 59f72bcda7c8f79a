# what runs of every kind have
default_scope = 'mmseg'
randomness = dict(seed=0)
env_cfg = dict(
    cudnn_benchmark=True,
    # of torch: 'high' rounds the products of float32 matrices in a network to TF32 on GPUs that have it; k-means and
    # labels do not follow. Convolutions are torch's own choice, TF32.
    float32_matmul_precision='highest',
    mp_cfg=dict(mp_start_method='fork', opencv_num_threads=0),
    # timeout: seconds that a process waits for the others before the run ends with an error. Longer than the longest
    # task of a single process: rank 0 scores, draws and writes checkpoints alone. gloo replaces nccl without a GPU.
    dist_cfg=dict(backend='nccl', timeout=1800))
vis_backends = [dict(type='LocalVisBackend')]
visualizer = dict(type='SegLocalVisualizer', vis_backends=vis_backends)
log_level = 'INFO'
load_from = None
resume = False
default_hooks = dict(
    runtime_info=dict(type='mmseg_unsup.DeferredInfoHook'),
    timer=dict(type='IterTimerHook'),
    logger=dict(type='LoggerHook', interval=50),
    param_scheduler=dict(type='ParamSchedulerHook'),
    sampler_seed=dict(type='DistSamplerSeedHook'))
