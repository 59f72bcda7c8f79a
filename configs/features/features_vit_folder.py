# A folder of images, no labels, nothing trains: clusters of a frozen transformer (mmseg-unsup segment FOLDER --init FILE)
_base_ = ['../_base_/datasets/folder.py', '../_base_/models/features_vit.py', '../_base_/features_folder.py']
size = 512  # pixels of the shorter side: 32 patches, and as many of other files, such as 448 px of DINOv2's
model = dict(decode_head=dict(n_clusters={{_base_.n_clusters}}))
train_dataloader = None  # nothing trains
