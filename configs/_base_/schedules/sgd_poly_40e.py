# the schedule of MaskContrast: SGD, weight decay on all parameters, lr (1 - epoch / max_epochs)^0.9 epoch by epoch, no
# warm-up
optim_wrapper = dict(type='OptimWrapper', optimizer=dict(type='SGD', lr=0.004, momentum=0.9, weight_decay=1e-4))
param_scheduler = [dict(type='mmseg_unsup.FullPolyLR', power=0.9, eta_min=0, by_epoch=True)]
train_cfg = dict(type='mmseg_unsup.ResumableTrainLoop', max_epochs=40, val_interval=20)
val_cfg = dict(type='ValLoop')
test_cfg = dict(type='TestLoop')
