# protocol 'released', that of PiCIE's code: train on test and train_extra, score val and train (3475 images)
_base_ = './cityscapes27.py'
train_dataloader = probe_dataloader = dict(dataset=dict(dataset=dict(splits=['test', 'train_extra'])))
val_dataloader = test_dataloader = dict(dataset=dict(splits=['val', 'train']))
