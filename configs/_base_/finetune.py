# Start of supervised training, one variable each:
#   init          a checkpoint of pre-training (or any file of backbone weights); None for random weights
#   averaged      of a run whose teacher averages the weights, take these (True) or the trained ones (False); None takes
#                 those by which the run predicts, which are the averaged ones
#   weights_seen  labels that the weights have seen whose file does not say it, such as 'ImageNet'
init = None
averaged = None
weights_seen = None
backbone_init = dict(type='mmseg_unsup.PretrainedBackbone', checkpoint=init, averaged=averaged)
initialization_hook = dict(type='mmseg_unsup.InitializationHook', weights_seen=weights_seen)
shortcuts = dict(
    data_root=['*_dataloader.**.data_root'],
    init=['model.*.init_cfg.checkpoint'],
    averaged=['model.*.init_cfg.averaged'],
    weights_seen=['default_hooks.initialization.weights_seen'])
