"""Write the backbone of a checkpoint as a plain file for other code.

    mmseg-unsup extract-backbone work_dirs/picie_fpn_camvid/epoch_5.pth resnet18.pth --format torchvision

    mmseg        any backbone: init_cfg=dict(type='Pretrained', checkpoint=OUT)
    mmpretrain   ResNet, and any backbone of mmpretrain:
                 init_cfg=dict(type='Pretrained', checkpoint=OUT, prefix='backbone.')
    torchvision  ResNet: torchvision.models.resnet18().load_state_dict(torch.load(OUT), strict=False), without fc
    timm         ResNet: timm.create_model('resnet18', num_classes=0).load_state_dict(torch.load(OUT))

An OUT that ends in .safetensors is such a file (extra safetensors, read by safetensors.torch.load_file), any other one
of torch. Every file holds tensors and plain values only (torch.load with weights_only=True), and is written after a
model of the other code, loaded from it, gave the same features, bit by bit. Where the other code cannot be imported, a
ResNet of mmseg with that code's settings takes its place, and the last line says so. The formats mmseg and mmpretrain
carry in their meta which labels the weights have seen; the other two have no place for it.
"""
import argparse


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument('source', metavar='CKPT', help='checkpoint of a run')
    parser.add_argument('target', metavar='OUT', help='file to write, .pth or .safetensors')
    parser.add_argument('--format', choices=['mmseg', 'torchvision', 'mmpretrain', 'timm'], required=True,
                        help='who is to read it')
    parser.add_argument('--weights', choices=['auto', 'trained', 'averaged'], default='auto',
                        help='of a run with a teacher: the weights that were trained, the averaged ones of the '
                        'teacher, or (default) those by which the run predicts')
    parser.add_argument('--config', help='of the run, if the checkpoint does not hold it')
    parser.add_argument('--weights-seen', help='labels that they have seen, such as ImageNet, if the checkpoint does '
                        'not say it')
    parser.add_argument('--force', action='store_true', help='replace OUT if it is there')


def run(args: argparse.Namespace) -> None:
    from ..converters.extract_backbone import extract_backbone
    print(extract_backbone(args.source, args.target, args.format, args.weights, args.config, args.weights_seen,
                           args.force))
