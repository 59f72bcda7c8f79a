# protocol 'released', that of PiCIE's code: train on test and train_extra, score val and train (3475 images)
_base_ = './cityscapes27.py'
train_images = dict(splits=['test', 'train_extra'])
val_images = dict(splits=['val', 'train'])
train_dataloader = dict(dataset=dict(dataset=train_images))
probe_dataloader = dict(dataset=dict(dataset=train_images))
val_dataloader = dict(dataset=val_images)
test_dataloader = dict(dataset=val_images)
