# training images with their labels, for probes that learn from them; data set and pipeline are those of the config
labelled_probe_dataloader = dict(
    persistent_workers=False,  # it is read once
    pin_memory=True,
    collate_fn=dict(type='mmseg_unsup.stack_views'),
    sampler=dict(type='DefaultSampler', shuffle=True),
    dataset=dict(type='mmseg_unsup.ViewDataset', with_labels=True, on_error='raise'))
