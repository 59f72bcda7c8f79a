# A folder of images, no labels, nothing trains: clusters of a frozen ResNet-18 (mmseg-unsup segment --method features)
_base_ = ['../_base_/datasets/folder.py', '../_base_/models/features_r18.py', '../_base_/features_folder.py']
model = dict(decode_head=dict(n_clusters={{_base_.n_clusters}}))
train_dataloader = None  # nothing trains
