"""Priors of masks by the names that users give them."""
import re
from typing import Optional, Type

from mmengine.config import Config

from ..priors import FeaturePrior, Prior
from ..registry import PRIORS
from ..utils.checks import check_choice

SHORT_NAMES = dict(rbd='RBDPrior', spectral='SpectralPrior', tokencut='TokenCutPrior', ncut='NormalizedCutPrior',
                   region='RegionPrior', principal='PrincipalMaskPrior', model='ModelPrior', folder='FolderPrior')


def prior_config(name: str, options: Optional[dict] = None, weights: Optional[str] = None,
                 style: str = 'pytorch') -> dict:
    """Config of a prior by short name or registered type.

    Args:
        options: of the prior, by dotted keys.
        weights: file of the network whose features the prior sees, see :func:`backbone_of`; with a transformer the
            prior is the published one, see ``of_transformer`` of :class:`FeaturePrior`.
        style: of that network, if it is a ResNet.

    Raises:
        ValueError: there is no such prior, or it sees no features.
    """
    prior_type(name)
    kind = SHORT_NAMES.get(name, name)
    config = Config(dict(type=kind if '.' in kind else f'mmseg_unsup.{kind}'))
    if weights is not None:
        if not sees_features(name):
            raise ValueError(f'--weights {weights} names a network, but the prior {name} sees no features: leave it '
                             f'out, or give one of {", ".join(filter(sees_features, SHORT_NAMES))}')
        from ..weights import is_transformer  # with all that trains
        seen = backbone_of(weights, style)
        config.merge_from_dict(seen)
        if is_transformer(seen['backbone']):
            config.merge_from_dict(prior_type(name).of_transformer)
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
    """The options of a :class:`FeaturePrior` that sees with the network of a file: a ResNet, whose depth and width it
    shows, or a transformer of DINO, DINOv2 or DINOv3.

    Raises:
        FileNotFoundError: no such file.
        ValueError: it holds another network.
    """
    from ..weights import is_transformer, known_network, read_part  # with all that trains
    pretrained = read_part(weights, option='--weights FILE')
    network = known_network(pretrained, 'name an official file, or give the network by --options backbone.type=... '
                            f'backbone.init_cfg.type=Pretrained backbone.init_cfg.checkpoint={weights}')
    if not is_transformer(network):
        network.pop('type')  # the dilated one of priors
        network['style'] = style
    init_cfg = dict(type='mmseg_unsup.PretrainedBackbone', checkpoint=weights)
    return dict(backbone=dict(network, init_cfg=init_cfg), weights_labels=pretrained.seen)


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
