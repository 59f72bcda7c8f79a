"""Priors of masks by the names that users give them."""
import re
from typing import Optional, Type

from mmengine.config import Config

from ..priors import FeaturePrior, Prior
from ..registry import PRIORS
from ..utils.checks import check_choice

SHORT_NAMES = dict(rbd='RBDPrior', spectral='SpectralPrior', tokencut='TokenCutPrior', ncut='NormalizedCutPrior',
                   region='RegionPrior', principal='PrincipalMaskPrior', model='ModelPrior', folder='FolderPrior')
_WIDTHS = ('conv1.weight', 'layer1.0.conv1.weight')  # as wide as stem and first stage of a ResNet


def prior_config(name: str, options: Optional[dict] = None, weights: Optional[str] = None,
                 style: str = 'pytorch') -> dict:
    """Config of a prior by short name or registered type.

    Args:
        options: of the prior, by dotted keys.
        weights: file of the network whose features the prior sees, see :func:`backbone_of`.
        style: of that network, a ResNet.

    Raises:
        ValueError: there is no such prior, or it sees no features.
    """
    prior_type(name)
    kind = SHORT_NAMES.get(name, name)
    config = Config(dict(type=kind if '.' in kind else f'mmseg_unsup.{kind}'))
    if weights is not None:
        if not sees_features(name):
            raise ValueError(f'--weights {weights} names a network, but the prior {name} sees no features: leave it out, '
                             f'or give one of {", ".join(filter(sees_features, SHORT_NAMES))}')
        config.merge_from_dict(backbone_of(weights, style))
    config.merge_from_dict(options or {})  # which knows dotted keys
    return config.to_dict()


def prior_type(name: str) -> Type[Prior]:
    """The class of a prior by short name or registered type; ValueError if there is no such prior."""
    if name not in SHORT_NAMES and PRIORS.get(name) is None:
        check_choice('prior', name, SHORT_NAMES, ', or a registered type')
    return PRIORS.get(SHORT_NAMES.get(name, name))


def sees_features(name: str) -> bool:
    """Whether a prior sees an image as the features of a network; ValueError if there is no such prior."""
    return issubclass(prior_type(name), FeaturePrior)


def backbone_of(weights: str, style: str = 'pytorch') -> dict:
    """The options of a :class:`FeaturePrior` that sees with the ResNet of a file, whose depth and width it shows.

    Raises:
        FileNotFoundError: no such file.
        ValueError: it holds another network.
    """
    from ..weights import read_part, resnet_depth  # with all that trains
    pretrained = read_part(weights)
    depth, stem, first = resnet_depth(pretrained.state), *map(pretrained.state.get, _WIDTHS)
    if depth is None or stem is None or first is None:
        raise ValueError(f'{pretrained} is no ResNet of a known depth: give the network by --options backbone.type=... '
                         f'backbone.init_cfg.type=Pretrained backbone.init_cfg.checkpoint={weights}')
    init_cfg = dict(type='mmseg_unsup.PretrainedBackbone', checkpoint=weights)
    backbone = dict(depth=depth, style=style, stem_channels=len(stem), base_channels=len(first), init_cfg=init_cfg)
    return dict(backbone=backbone, weights_labels=pretrained.seen)


def build_prior(config: dict) -> Prior:
    """The prior of a config; ValueError if it lacks an option, or has one that cannot be."""
    try:
        return PRIORS.build(config)
    except TypeError as error:
        names = ', '.join(re.findall(r"'(\w+)'", str(error)))
        fault = f'needs {names}' if 'missing' in str(error) else f'has no option {names}'
        fault = fault if '__init__()' in str(error) else f'cannot be made of these options: {error}'
        remedy = '--weights FILE' if names == 'backbone' and 'needs' in fault else '--options KEY=VALUE'
        raise ValueError(f'the prior {config["type"]} {fault}: give its options by mmseg-unsup priors {remedy}'
                         ) from error
