"""Mistakes that a stranger makes: the command line, and words that its one sentence must have.

In braces stand places that :func:`tests.test_commands.test_mistakes.place` makes: ``{p}`` is the folder of all. A ``|``
in the words separates several.
"""
TRAIN = 'train {p}/config.py --work-dir {p}/work'
SET = f'{TRAIN} --cfg-options'
TEST = 'test {p}/config.py'
AWAY = '--work-dir {p}/work'
MODEL = '{p}/config.py {p}/run/epoch_1.pth'
INIT = f'{SET} model.backbone.init_cfg.type=mmseg_unsup.PretrainedBackbone model.backbone.init_cfg.checkpoint'
SEGMENT = 'segment {p}/images --out {p}/work'
LEARN = 'learn {p}/run {p}/images --out {p}/work --labels'

COMMAND_LINE = {
    'trian {p}/config.py': "there is no command 'trian': did you mean train?",
    'xyzzy': "there is no command 'xyzzy': there are segment, predict",
    'train': 'arguments are required: config | mmseg-unsup train --help',
    f'{TRAIN} --wrok-dir x': '--wrok-dir | did you mean --work-dir?',
    f'{TRAIN} extra': 'unrecognized arguments: extra',
    f'{TRAIN} --launcher slrm': "invalid choice: 'slrm' | slurm",
    f'{SET} n_clusters 3': "but 'n_clusters' is none: write n_clusters=3",
    f'{SET} =3': "takes key=value, but '=3' is none",
    TEST: 'arguments are required: checkpoint',
}
CONFIGS = {
    'train {p}/confg.py': "there is no config '{p}/confg.py': did you mean {p}/config.py?",
    'train mmseg_unsup::picie/picie_fpn_camvd.py': 'did you mean mmseg_unsup::picie/picie_fpn_camvid.py',
    'train picie_fpn_camvid': 'did you mean mmseg_unsup::picie/picie_fpn_camvid.py',
    'train mmsegunsup::picie/picie_fpn_camvid.py': 'did you mean mmseg_unsup::picie/picie_fpn_camvid.py?',
    'train {p}/images': "there is no config '{p}/images': it is a folder; give the path of a file",
    'train {p}/images/000000000001.jpg': '000000000001.jpg is no config, whose name ends in .py',
    'train {p}/empty.py': 'the config {p}/empty.py has no model',
    'train {p}/binary.py': 'binary.py | no text in UTF-8',
    'train {p}/syntax.py': "syntax.py | no Python: '(' was never closed in line 1",
    'train {p}/nobase.py': 'nobase.py | confg.py, which does not exist: check the path in _base_',
    'train {p}/division.py': 'division.py | ZeroDivisionError: division by zero',
    'train {p}/imports.py': 'custom_imports of the config {p}/imports.py | no_such_module | install',
    f'{SET} model.type=mmseg_unsup.PiCEI': "model.type='mmseg_unsup.PiCEI' | did you mean mmseg_unsup.PiCIE?",
    f'{SET} model.type=PiCIE': 'did you mean mmseg_unsup.PiCIE?',
    f'{SET} model.type=mmseg_unsup.EncoderDecoder': 'mmseg_unsup.EncoderDecoder',
    f'{SET} model.backbone.dept=50': "model.backbone has no 'dept': did you mean depth",
    f'{SET} model.backbone.depth=19': 'invalid depth 19',
    f'{SET} model.backbone.depth=50': 'backbone gives (32, 64, 128, 256): set model.neck.in_channels to these',
    f'{SET} model.backbone.norm_cfg.type=BNN': "model.backbone.norm_cfg.type='BNN' | did you mean BN?",
    f'{SET} model.backbone=None': 'model.backbone=None | a dict with a type',
    f'{SET} model=3': 'model=3 | a dict with a type',
    'train {p}/argument.py --work-dir {p}/work':
    "model.backbone has dept=50, but ResNet takes no 'dept': did you mean depth",
    f'{SET} train_dataloader.dataset.type=mmseg_unsup.ViewDatset':
    'train_dataloader.dataset.type= | did you mean mmseg_unsup.ViewDataset?',
    f'{SET} train_dataloader.dataset.pipeline.0.type=LoadImag': 'pipeline.0.type= | did you mean mmseg_unsup.LoadImage',
    f'{SET} default_hooks.checkpoint.type=ChekpointHook': 'default_hooks.checkpoint.type= | CheckpointHook',
    f'{SET} optim_wrapper.optimizer.type=Addam': 'optim_wrapper.optimizer.type= | did you mean Adam',
    f'{SET} vis_backends=TensorbordVisBackend': 'did you mean TensorboardVisBackend?',
    f'{SET} default_scope=mmsegg': "default_scope='mmsegg' | set it to mmseg",
    f'{SET} optim_wrapper=None': 'no optim_wrapper: set all of train_dataloader, train_cfg, optim_wrapper',
    f'{SET} n_cluster=3': "no 'n_cluster': did you mean n_clusters?",
    f'{SET} train_dataloader.dataset.pipeline.9.size=3': "is a list of 6, in which '9' is no number of an element",
    'train mmseg_unsup::picie/picie_fpn_camvid_convnext-t.py':
    'needs mmpretrain | pip install "mmseg-unsup[mmpretrain]"',
}
VALUES = {
    f'{SET} n_clusters=0': 'n_clusters must be at least 2, but it is 0',
    f'{SET} n_clusters=many': "n_clusters must be at least 2 and a whole number, but it is 'many'",
    f'{SET} n_clusters=1000': '512 feature cells cannot form 1000 clusters: give more images',
    f'{SET} train_dataloader.batch_size=0': 'train_dataloader.batch_size must be at least 1, but it is 0',
    f'{SET} train_dataloader.num_workers=-1': 'train_dataloader.num_workers must be at least 0, but it is -1',
    f'{SET} train_cfg.max_epochs=-1': 'train_cfg.max_epochs must be at least 1, but it is -1',
    f'{SET} train_cfg.max_epochs=1.5': 'train_cfg.max_epochs must be at least 1 and a whole number, but it is 1.5',
    f'{SET} train_cfg.val_interval=0': 'train_cfg.val_interval must be at least 1, but it is 0',
    f'{SET} optim_wrapper.optimizer.lr=fast': "optim_wrapper.optimizer.lr must be a positive number, but it is 'fast'",
    f'{SET} randomness.seed=abc': "randomness.seed must be at least 0 and a whole number, but it is 'abc'",
    f'{SET} log_level=LOUD': "log_level must be one of | 'LOUD'",
    f'{SET} resume=maybe': "resume must be a bool, but it is 'maybe'",
    f'{SET} env_cfg.float32_matmul_precision=low':
    "there is no env_cfg.float32_matmul_precision 'low': give one of highest, high, medium",
    f'{SET} custom_hooks=3': 'custom_hooks must be a list or tuple, but it is 3',
    f'{SET} default_hooks.checkpoint.interval=often': "default_hooks.checkpoint.interval must be a whole | 'often'",
    f'{SET} default_hooks.checkpoint.priority=VERY': "default_hooks.checkpoint.priority | 'VERY'",
    f'{SET} default_hooks.checkpoint.save_best=mIoU': "save_best='mIoU' is no score of the validation",
    f'{SET} on_error=skp': "on_error='skp' is not one of",
    f'{SET} train_dataloader.dataset.dataset.indices=0': 'indices must be at least 1, but it is 0',
}
DATA = {
    f'{SET} data_root={{p}}/nowhere': "the image folder '{p}/nowhere' does not exist: set data_root",
    f'{SET} data_root={{p}}/bare': 'no image found below {p}/bare: expected files ending in .jpg',
    f'{SET} data_root={{p}}/texts': 'no image found below {p}/texts | there are 1 .gif, which are not read',
    f'{SET} data_root={{p}}/folders': 'no image found below {p}/folders',
    f'{SET} data_root={{p}}/config.py': "the image folder '{p}/config.py' is a file: set data_root",
    f'{SET} data_root={{p}}/broken': 'cannot use the image {p}/broken | Replace or remove the file',
    f'{SET} data_root={{p}}/broken on_error=skip': 'none of the 4 images can be read | {p}/broken',
    f'{SET} data_root={{p}}/cut train_dataloader.num_workers=2 probe_dataloader.num_workers=2':
    'cannot use the image {p}/cut/zz.jpg: it is cut off. Replace or remove the file',
    f'{SET} out={{p}}/images': '{p}/images is the folder of the images | give another folder',
    f'train mmseg_unsup::picie/picie_fpn_camvid.py {AWAY} --cfg-options data_root={{p}}/images init=None':
    "'{p}/images/images/train' does not exist: set data_root",
    f'train mmseg_unsup::maskcontrast/maskcontrast_deeplabv3_folder_r18.py {AWAY} --cfg-options '
    'data_root={p}/images mask_root={p}/masks init=None': "'{p}/masks' does not exist: set mask_root | make",
}
PLACES = {
    'train {p}/config.py --work-dir {p}/file': "work directory '{p}/file' cannot be written to | another --work-dir",
    'train {p}/config.py --work-dir {p}/run': '{p}/run holds the checkpoints of another run | --resume | --restart',
    'train {p}/config.py --work-dir {p}/run --resume --cfg-options n_clusters=4':
    'n_clusters is 3 there and 4 now | its own settings',
    f'{TRAIN} --resume {{p}}/none.pth': "there is no checkpoint '{p}/none.pth' to resume from: check the path",
    f'{TRAIN} --launcher pytorch': 'RANK, WORLD_SIZE | is not set: start all processes by tools/dist_train.sh',
    f'{TRAIN} --launcher slurm': 'SLURM_PROCID | tools/slurm_train.sh',
    f'{SET} visualizer.save_dir={{p}}/file': '{p}/file/vis_data | a folder is needed, and a file is in its place',
}
WEIGHTS = {
    f'{INIT}={{p}}/none.pth': "there is no file of weights '{p}/none.pth': set init",
    f'{INIT}={{p}}/page.pth': 'page.pth | it is a page of the web | download it again',
    f'{INIT}={{p}}/half.pth': 'half.pth | it is cut off | download it again',
    f'{INIT}={{p}}/plain.pth': "plain.pth holds no tensors but ['a'] | another one",
    f'{INIT}={{p}}/run/epoch_1.pth model.backbone.depth=34': 'holds a ResNet-18, and the config builds a ResNet-34',
    f'{INIT}=torchvision://resnt18': 'no published weights of this name: did you mean torchvision://resnet18',
    f'{SET} load_from={{p}}/none.pth': "there is no checkpoint '{p}/none.pth': check the path",
    f'{SET} load_from={{p}}/plain.pth': 'none of the 1 entries of the checkpoint | name a checkpoint of this config',
    f'{SET} load_from={{p}}/list.pth': 'is a list and holds no dict of weights',
    f'{TRAIN} --resume {{p}}/other.pth': 'does not say how far its run was | load_from',
    f'{TEST} {{p}}/none.pth {AWAY}': "there is no checkpoint '{p}/none.pth': check the path",
    f'{TEST} {{p}}/images {AWAY}': "there is no checkpoint '{p}/images': check the path",
    f'{TEST} {{p}}/page.pth {AWAY}': 'page.pth | it is a page of the web',
    f'{TEST} {{p}}/half.pth {AWAY}': 'half.pth | it is cut off; copy or download it again',
    f'{TEST} {{p}}/nothing.pth {AWAY}': 'nothing.pth | it is empty',
    f'{TEST} {{p}}/plain.pth {AWAY}': 'has 0 of the 108 tensors | use the config it was trained with',
    f'{TEST} {{p}}/list.pth {AWAY}': 'is a list and holds no dict of weights',
    f'test mmseg_unsup::features/features_r18_camvid.py none {AWAY} --cfg-options init={{p}}/vit.pth':
    'vit.pth holds a transformer | features_r18_camvid.py is a ResNet: take one of configs/features/features_vit_*.py',
    f'test mmseg_unsup::features/features_vit_msrc.py none {AWAY} --cfg-options init={{p}}/transformers.pth':
    'no ResNet and no transformer | as transformers names them: name an official file',
    f'test {MODEL} {AWAY} --cfg-options n_clusters=9': '(3, 16) | (9, 16): set n_clusters of model.decode_head to 3',
    f'test {MODEL} {AWAY} --clusters {{p}}/none.json': "there is no file of cluster names '{p}/none.json'",
    f'test {MODEL} {AWAY} --clusters {{p}}/file': 'cannot use the cluster names {p}/file',
    f'test {MODEL} {AWAY} --out {{p}}/images': '{p}/images is the folder of the images',
    f'test {MODEL} {AWAY} --out {{p}}/file': '{p}/file | a folder is needed, and a file is in its place',
}
TWO_AT_ONCE = {  # the first that must be mended
    f'{SET} model.type=mmseg_unsup.PiCEI data_root={{p}}/nowhere': "model.type='mmseg_unsup.PiCEI'",
    'train {p}/confg.py --work-dir {p}/file': "there is no config '{p}/confg.py'",
    'train {p}/config.py --work-dir {p}/file --cfg-options data_root={p}/nowhere': "'{p}/file' cannot be written to",
    f'{TEST} {{p}}/none.pth {AWAY} --cfg-options n_cluster=3': "no 'n_cluster'",
}
WITH_PHOTOGRAPHS = {
    'segment': 'arguments are required: | --out',
    'segment {p}/nowhere --out {p}/work': "the image folder '{p}/nowhere' does not exist",
    'segment {p}/bare --out {p}/work': 'no image found below {p}/bare',
    'segment {p}/images --out {p}/file': '{p}/file is a file: give a folder',
    f'{SEGMENT} --method maskcontrst': "'maskcontrst' | maskcontrast",
    f'{SEGMENT} --method picie --n-clusters 1': '--n-clusters 1 | number from 2',
    f'{SEGMENT} --epochs 0': 'has 0 epochs: give | at least 1',
    f'{SEGMENT} --init {{p}}/none.pth': "there is no file of weights '{p}/none.pth' | --init none",
    f'{SEGMENT} --init {{p}}/page.pth': 'page.pth | it is a page of the web | download it again',
    f'{SEGMENT} --init {{p}}/vit.pth --method picie':
    "vit.pth holds a transformer of the family 'dino' | --method picie trains a ResNet: leave --method out",
    f'{SEGMENT} --init {{p}}/vit.pth --prior tokencut --method maskcontrast':
    '--method maskcontrast trains a ResNet | masks | mmseg-unsup priors --weights',
    f'{SEGMENT} --init {{p}}/vit.pth --config mmseg_unsup::features/features_r18_folder.py':
    "transformer of the family 'dino' | features_r18_folder.py is a ResNet: take | features_vit_*.py",
    f'{SEGMENT} --init {{p}}/vit.pth --cfg-options model.backbone.backbone.patch_size=16':
    'stage weights | patches of 8 px | patches of 16 px | set patch_size=8',
    f'{SEGMENT} --init {{p}}/vit.pth --cfg-options model.backbone.backbone.family=dinov2 '
    'model.backbone.backbone.n_registers=4': "stage weights | set family='dino', n_registers=0",
    f'{SEGMENT} --init {{p}}/vit.pth --cfg-options model.backbone.backbone.arch=small': "arch 'small' | set arch={",
    f'{SEGMENT} --init {{p}}/vit.pth --cfg-options size=6': 'smaller than a patch of 8 px: set a larger size',
    f'{SEGMENT} --init {{p}}/part.pth': 'stage weights | holds a part of | copy or download it again',
    f'{SEGMENT} --init {{p}}/transformers.pth': 'no ResNet and no transformer | as transformers names them: name an',
    f'{SEGMENT} --init {{p}}/timm.pth': 'no ResNet and no transformer | as timm names them: name an official file',
    f'{SEGMENT} --prior rdb': "rdb | rbd",
    f'{SEGMENT} --method picie --examples {{p}}/label': "'{p}/label' does not exist: give the folder of label maps",
    f'{SEGMENT} --method picie --classes sky road': '--classes sky road | give their folder (--examples LABELLED)',
    'learn {p}/run {p}/images': 'arguments are required: --labels',
    f'{LEARN} {{p}}/none.json': 'there are no labels {p}/none.json: did you mean {p}/foreign.json?',
    f'{LEARN} {{p}}/bare': '{p}/bare is no folder of annotations, which has data.yaml',
    f'{LEARN} {{p}}/foreign.json': '{p}/foreign.json is no file of annotations, which are JSON of COCO',
    f'{LEARN} {{p}}/images': '{p}/images is no folder of annotations',
    f'{LEARN} {{p}}/none.json --steps 0': 'argument --steps: it must be a whole number of at least 1',
    'learn {p}/run --labels {p}/none.json': '{p}/run has no maps that would say of which images they are: give the',
    'learn {p}/images {p}/images --labels {p}/none.json': 'the folder {p}/images has no checkpoint: a model is a',
    'learn {p}/run {p}/images --labels {p}/none.json --out {p}/file': '--out {p}/file is a file: give a folder',
    'learn {p}/run {p}/images --labels {p}/none.json --out {p}/run': '{p}/run is the folder of the model, which would',
    f'{SEGMENT} --config {{p}}/confg.py': "there is no config '{p}/confg.py': did you mean",
    f'predict {MODEL} {{p}}/nowhere --out {{p}}/work': '{p}/nowhere',
    f'predict {MODEL} {{p}}/texts --out {{p}}/work': 'no image found below {p}/texts',
    f'predict {MODEL} {{p}}/broken --out {{p}}/work': '{p}/broken/0.jpg',
    f'predict {MODEL} {{p}}/images --out {{p}}/work --tile 0': 'argument --tile: it must be a whole number | 1',
    f'predict {MODEL} {{p}}/images --out {{p}}/work --shard 3/3': 'argument --shard: there is no shard 3/3 | 0 to W-1',
    f'predict {MODEL} {{p}}/images --out {{p}}/work --device cuda:9': "the device 'cuda:9' cannot be used: torch | cpu",
    'predict {p}/config.py {p}/none.pth {p}/images --out {p}/work': 'there is no checkpoint | {p}/none.pth',
    'predict {p}/config.py {p}/plain.pth {p}/images --out {p}/work':
    '{p}/plain.pth lacks | no checkpoint of this config',
    f'predict {MODEL} {{p}}/images --out {{p}}/work --clusters {{p}}/foreign.json':
    "fingerprint='0000000000000000' | belong to another checkpoint",
    f'name {MODEL} {{p}}/clusters.json --name 9=sky': 'there is no cluster 9: the checkpoint has clusters 0 to 2',
    f'name {MODEL} {{p}}/clusters.json --name 3': "--name '3': expected CLUSTER=NAME",
    f'name {MODEL} {{p}}/foreign.json --name 0=sky': "fingerprint='0000000000000000' | belong to another checkpoint",
    f'name {MODEL} {{p}}/file --name 0=sky': 'cannot use the cluster names {p}/file',
    f'gallery {MODEL} {{p}}/nowhere --out {{p}}/page.html': "'{p}/nowhere' does not exist",
    f'gallery {MODEL} {{p}}/images --out {{p}}/page.pdf': '{p}/page.pdf | .html',
    f'gallery {MODEL} {{p}}/images --out {{p}}/page.html --classes sky':
    '--classes are the names of the values | --labels',
    f'gallery {MODEL} {{p}}/images --out {{p}}/page.html --labels {{p}}/nolabels': 'nolabels',
    f'export {MODEL} {{p}}/model.onx --images {{p}}/images': 'model.onx | .onnx',
    f'export {MODEL} {{p}}/model.onnx --images {{p}}/nowhere': "'{p}/nowhere' does not exist: give a folder of images",
    f'export {MODEL} {{p}}/images --images {{p}}/images': '{p}/images | ',
    'push {p}/run': 'say where the model goes: OWNER/NAME | --to-folder FOLDER',
    'push {p}/images --to-folder {p}/work': 'the folder {p}/images has no checkpoint',
    'push {p}/run --to-folder {p}/images': '{p}/images holds | give a folder of its own',
    'push {p}/run one/two/three': "'one/two/three' is no repository of the Hugging Face hub: expected owner/name",
    f'predict {MODEL} {{p}}/images --out {{p}}/work --format video': 'needs frames as | {p}/images | no frames.json',
    f'predict {MODEL} {{p}}/images --out {{p}}/work --smooth 0': 'argument --smooth: | whole number of at least 1',
    'frames {p}/nowhere.mp4 --out {p}/work': 'there is no video {p}/nowhere.mp4: check the path',
    'frames {p}/images --out {p}/work': '{p}/images is a folder: give the videos in it, {p}/images/*.mp4',
    'frames {p}/file --out {p}/work': '{p}/file is no video that can be read | convert it to MP4',
    'frames {p}/file --out {p}/work --every 0': 'argument --every: it must be a whole number of at least 1',
}
WITH_A_CONFIG = {
    'check {p}/confg.py': "there is no config '{p}/confg.py'",
    'check {p}/config.py --cfg-options data_root={p}/nowhere': "'{p}/nowhere' does not exist",
    'download camvd': "there is no data set 'camvd' (did you mean camvid?)",
    'download cityscapes --out {p}/work': 'has an account | --archive leftImg8bit_trainvaltest.zip gtFine_trainvaltest',
    'download camvid --out {p}/work --archive {p}/half.pth': '{p}/half.pth is none of the files of camvid',
    'download weights resnt18': "there is no file of weights 'resnt18' (did you mean resnet18",
    'check {p}/config.py --workers 0': 'argument --workers: it must be a whole number of at least 1',
    'priors {p}/nowhere {p}/masks': "'{p}/nowhere' does not exist",
    'priors {p}/images {p}/masks --prior rdb': 'rdb | rbd',
    'priors {p}/images {p}/masks --options max_side': 'max_side',
    'priors {p}/images {p}/images': '{p}/images',
    'priors {p}/broken {p}/masks': '{p}/broken',
    'priors {p}/images {p}/masks --prior tokencut --weights {p}/timm.pth':
    'as timm names them | --options backbone.type',
    'priors {p}/images {p}/masks --prior ncut --weights {p}/vit.pth --options out=keyz':
    "out='keyz' | did you mean keys",
}
STUDY = {
    'seeds {p}/config.py': 'arguments are required: --seeds',
    'seeds {p}/confg.py --seeds 0': "there is no config '{p}/confg.py'",
    'seeds {p}/config.py --seeds 1 1 --work-dir {p}/work': '--seeds 1 1 has one twice',
    f'choose-k {MODEL} --k 1': '--k 1 cannot tell cells apart: give numbers of clusters from 2 on',
    f'choose-k {MODEL} --k 3 --seeds 1': '--seeds 1 | give at least 2',
    'position mmseg_unsup::features/features_r18_camvid.py {p}/none.pth --cfg-options init={p}/vit.pth':
    'vit.pth holds a transformer | features_r18_camvid.py is a ResNet: take one of configs/features/features_vit_*.py',
    'score-priors {p}/images {p}/nolabels': '{p}/nolabels',
    'score-priors {p}/images {p}/images --priors ncut --weights {p}/transformers.pth': 'as transformers names them',
    f'confusion-matrix {MODEL} {{p}}/matrix.gif': "'{p}/matrix.gif' must be a file whose name ends in",
    'browse-views {p}/config.py {p}/views.gif': "'{p}/views.gif' must be a file whose name ends in",
    'get-flops {p}/config.py --size 0 0': 'argument --size: it must be a whole number of at least 1',
    'gpu-report --only tf23': '--only tf23: there is no such check: did you mean tf32?',
    'benchmark {p}/confg.py': "there is no config '{p}/confg.py'",
    'extract-backbone {p}/none.pth {p}/out.pth --format mmseg': "'{p}/none.pth'",
    'extract-backbone {p}/run/epoch_1.pth {p}/out.pth --format tensorflow': "invalid choice: 'tensorflow'",
    'convert-released stego {p}/run/epoch_1.pth --out {p}/work': 'epoch_1.pth is no checkpoint of STEGO: it has no '
    'tensor net.cluster1.0.weight, but',
    'convert-released cause {p}/none.pth --out {p}/work': '{p}/none.pth: No such file or directory: check the path',
    'evaluate-released hp {p}/none.pth --data camvd --out-dir {p}/work': "there is no data set 'camvd' | mean camvid?",
    'join-tables {p}/none.json': "there is no table '{p}/none.json'",
    'evaluate-released hp {p}/none.pth --data camvid --out-dir {p}/work --set size':
    "--set takes key=value, but 'size' is none (see",
    'join-tables {p}/foreign.json': 'foreign.json holds no table of rows that each have a protocol card',
    'join-tables {p}/config.py': 'config.py is no JSON',
    'labels-to-masks {p}/nolabels {p}/masks --objects 1': '{p}/nolabels',
}
ALL = {**COMMAND_LINE, **CONFIGS, **VALUES, **DATA, **PLACES, **WEIGHTS, **TWO_AT_ONCE, **WITH_PHOTOGRAPHS,
       **WITH_A_CONFIG, **STUDY}
