"""Whether the tensors of a file are those of a module, and what is likely wrong when they are not."""
import re
from dataclasses import dataclass
from typing import Dict, List, Optional

from torch import Tensor

from .identity import COUNTER, MASK_TOKEN
from .pretrained_file import PretrainedPart, first_words, resnet_depth
from .vit_settings import describe_vit, vit_settings

# norms that mmpretrain's ConvNeXt gives its inner outputs; a classifier, which has the last output only, lacks them
_INNER_NORM = re.compile(r'norm[012]\.(weight|bias)$')
# a block of a vision transformer or of a ConvNeXt of mmpretrain
_BLOCK = re.compile(r'(layers|stages)\.\d+(\.\d+)?\.')


@dataclass
class TensorMatch:
    """Names of the tensors of a part that are in the file and in the module with the same shape, and the others."""
    pretrained: PretrainedPart
    target: Dict[str, Tensor]
    loaded: List[str]
    missing: List[str]
    unexpected: List[str]
    misshaped: List[str]
    absent_counters: int
    absent_norms: int
    absent_mask: int

    @property
    def is_complete(self) -> bool:
        return not (self.missing or self.unexpected or self.misshaped)

    def __str__(self) -> str:
        """``120/120 backbone tensors``"""
        absent = [f'{number} {what}' for number, what in ((self.absent_counters, 'counters of batches'),
                                                          (self.absent_norms, 'tensors of norms of inner outputs'),
                                                          (self.absent_mask, 'mask token'))
                  if number]
        total = len(self.target) - self.absent_counters - self.absent_norms - self.absent_mask
        note = f' ({" and ".join(absent)} are not in the file)' if absent else ''
        return f'{len(self.loaded)}/{total} {self.pretrained.part} tensors{note}'


def match_tensors(pretrained: PretrainedPart, target: Dict[str, Tensor]) -> TensorMatch:
    """Compare names and shapes; ``target`` is the state dict of the module."""
    source = pretrained.state
    common = [name for name in target if name in source]
    missing = [name for name in target if name not in source]
    counters = [name for name in missing
                if name.endswith(COUNTER) and name.replace(COUNTER, 'running_mean') in source]
    is_classifier = 'norm3.weight' in source and not any(map(_INNER_NORM.match, source))
    norms = [name for name in missing if is_classifier and _INNER_NORM.match(name)]
    return TensorMatch(
        pretrained=pretrained,
        target=target,
        loaded=[name for name in common if source[name].shape == target[name].shape],
        missing=[name for name in missing if name not in (*counters, *norms, MASK_TOKEN)],
        unexpected=[name for name in source if name not in target],
        misshaped=[name for name in common if source[name].shape != target[name].shape],
        absent_counters=len(counters),
        absent_norms=len(norms),
        absent_mask=missing.count(MASK_TOKEN))


def explain(match: TensorMatch) -> str:
    """One sentence for the error: what does not fit, the likely cause, the fix."""
    parts = [
        f'{title} {len(names)} (such as {names[0]})' for title, names in (
            ('missing from the file', match.missing), ('unknown to the model', match.unexpected),
            ('of another shape', match.misshaped)) if names
    ]
    return f'only {match} fit {match.pretrained}; {", ".join(parts)}. {_cause(match)}'


def _cause(match: TensorMatch) -> str:
    source, target, part = match.pretrained.state, match.target, match.pretrained.part
    if part != 'backbone':
        return (f'Likely cause: the {part} of the config is another one than that of the pre-training. Fix: give it '
                f'the same settings, or set model.{part}.init_cfg=None to start it from random weights')
    if 'stem.0.weight' in target and 'conv1.weight' in source:
        return ('Likely cause: this backbone is a ResNetV1c or V1d, whose deep stem a plain ResNet does not have. Fix: '
                "set model.backbone.type='ResNet', or take the config with a `b` after the depth (r18b, r50b)")
    if 'stem.0.weight' in source and 'conv1.weight' in target:
        return ('Likely cause: the file holds a ResNetV1c or V1d with a deep stem, and this backbone is a plain '
                "ResNet. Fix: set model.backbone.type='ResNetV1c'")
    depths = resnet_depth(source), resnet_depth(target)
    if None not in depths and depths[0] != depths[1]:
        return (f'Likely cause: the file holds a ResNet-{depths[0]}, and the config builds a ResNet-{depths[1]}. Fix: '
                f'take a config of that depth, or set model.backbone.depth={depths[0]} with the channels of its heads')
    cause = _official_vit_cause(match) or _transformer_cause(match)
    if cause:
        return cause
    if not match.loaded and not match.misshaped:
        return ('Likely cause: a wrong prefix or another kind of network; after the prefix '
                f'{match.pretrained.prefix!r} the names begin with {first_words(source)}, those of the model with '
                f'{first_words(target)}. Fix: set prefix in init_cfg, or leave it out with '
                "type='mmseg_unsup.PretrainedBackbone', which finds it")
    if match.misshaped:
        name = match.misshaped[0]
        return (f'Likely cause: the widths differ; {name} is {tuple(source[name].shape)} in the file and '
                f'{tuple(target[name].shape)} in the model. Fix: set the same widths as in the pre-training, '
                'model.backbone.base_channels and stem_channels of a ResNet, model.backbone.arch of others')
    return ('Likely cause: another type of backbone. Fix: give model.backbone the type and settings of the '
            'pre-training, or accept the rest as random by allow_missing=True in init_cfg')


def _official_vit_cause(match: TensorMatch) -> Optional[str]:
    """What is likely wrong where the file or the module is a transformer by the names of DINO; None where neither is."""
    theirs, ours = vit_settings(match.pretrained.state), vit_settings(match.target)
    if theirs is None and ours is None:
        return None
    if theirs == ours:
        return (f'Likely cause: the file holds a part of {describe_vit(theirs)}, and not all of it, or more. Fix: copy or '
                'download it again, or name another file')
    if ours is None:
        return (f'Likely cause: the file holds {describe_vit(theirs)}, by the names of its authors. Fix: set '
                f"model.backbone to dict(type='mmseg_unsup.DINOViT', {_arguments(theirs)}) with this init_cfg")
    if theirs is None:
        names = first_words(match.pretrained.state)
        return (f'Likely cause: the file holds another network, or one by the names of timm, transformers or '
                f'mmpretrain, which begin with {names}; this backbone takes files of DINO, DINOv2 and DINOv3 by the '
                'official names. Fix: name an official file')
    changed = {name: value for name, value in theirs.items() if value != ours.get(name)}
    return (f'Likely cause: the file holds {describe_vit(theirs)}, and the config builds {describe_vit(ours)}. Fix: '
            f'set {_arguments(changed)} of the DINOViT, or name another file')


def _arguments(settings: dict) -> str:
    return ', '.join(f'{name}={value!r}' for name, value in settings.items())


def _transformer_cause(match: TensorMatch) -> Optional[str]:
    """What is likely wrong with a vision transformer or ConvNeXt, None where nothing typical is."""
    source, target = match.pretrained.state, match.target
    blocks = [len({_BLOCK.match(name)[0] for name in names if _BLOCK.match(name)}) for names in (source, target)]
    if min(blocks) and blocks[0] != blocks[1]:
        return (f'Likely cause: the file holds {blocks[0]} blocks, and the config builds {blocks[1]}. Fix: set '
                'model.backbone.arch to the network of the file, with the channels of its neck')
    if any(name.endswith('gamma1.weight') for name in match.unexpected):
        return ('Likely cause: the file holds layer scale, as DINOv2 has it, and this backbone has none. Fix: set '
                'model.backbone.layer_scale_init_value=1e-5')
    if any(name.endswith('gamma1.weight') for name in match.missing):
        return ('Likely cause: this backbone has layer scale, as DINOv2 has it, and the file holds none. Fix: set '
                'model.backbone.layer_scale_init_value=0')
    name = 'patch_embed.projection.weight'
    if name in match.misshaped and source[name].shape[-1] != target[name].shape[-1]:
        theirs, ours = source[name].shape[-1], target[name].shape[-1]
        return (f'Likely cause: the file holds a network of patches of {theirs} px, and the config builds one of '
                f'{ours} px. Fix: set model.backbone.patch_size={theirs} and sizes of images that it divides')
    return None
